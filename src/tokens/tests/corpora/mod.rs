//! Text as people and programs send it: for tests and for the benchmark.
#![allow(
    dead_code,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "a test that goes wrong should fail loudly; no program uses all of it"
)]

/// A little of each script: prose with its own digits, quotes and stops.
const PROSE: &[(&str, &str)] = &[
    (
        "German",
        "Die Übergrößenträger stießen auf „fünfzehn“ Straßenbahnhaltestellen; der Fluß führte Hochwasser. Weiß jemand, wie spät es ist? Um 7:45 Uhr fährt der Zug über Köln nach Düsseldorf.",
    ),
    (
        "French",
        "L’été dernier, j’ai aperçu « quelqu’un » près de l’hôtel ; c’était aujourd’hui qu’il fallait s’en aller. Où est passée la clef ? À l’œuvre, dès 8 h 30 !",
    ),
    (
        "Polish",
        "Zażółć gęślą jaźń, powiedział źrebak do łąki. Czy ktoś widział wczoraj pociąg z Łodzi do Gdańska? Kosztował 45,50 zł.",
    ),
    (
        "Turkish",
        "İstanbul'da ılık bir ağustos akşamı, İzmir'den gelen çocuklar şarkı söylüyordu. Iğdır'ın dağları görünüyor mu?",
    ),
    (
        "Vietnamese",
        "Những người nông dân ở đồng bằng sông Cửu Long đang thu hoạch lúa. Bạn có biết đường đến bưu điện không? Giá vé là 25.000 đồng.",
    ),
    (
        "Russian",
        "Широкая электрификация южных губерний даст мощный толчок подъёму сельского хозяйства. Сколько стоит билет до Санкт-Петербурга? Около 3500 рублей, — ответил он.",
    ),
    (
        "Ukrainian",
        "Чуєш їх, доцю, га? Кумедна ж ти, прощайся без ґольфів! З’їзд почнеться о 9:30 у Києві.",
    ),
    (
        "Greek",
        "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Πού βρίσκεται ο σταθμός; Το εισιτήριο κοστίζει 12,50 € — «πολύ ακριβό», είπε η Ελένη.",
    ),
    (
        "Arabic",
        "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ومغلف بجلد أزرق. كم الساعة الآن؟ إنها ٣:٤٥ بعد الظهر، والقطار يغادر بعد عشر دقائق.",
    ),
    (
        "Persian",
        "بر اثر چنین تلقین و شستشوی مغزی جامعی، سطح ذهن می‌خروشد. قیمت بلیط ۱۲۳۴ تومان است؛ آیا می‌خواهید آن را بخرید؟",
    ),
    (
        "Hebrew",
        "דג סקרן שט בים מאוכזב ולפתע מצא חברה. מה השעה עכשיו? הרכבת לתל־אביב יוצאת בשעה 17:20, אמר ד״ר כהן.",
    ),
    (
        "Hindi",
        "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले विष्णुवतार भगवान श्रीराम। क्या आप मुझे स्टेशन का रास्ता बता सकते हैं? किराया ₹१२५ है।",
    ),
    (
        "Bengali",
        "আষাঢ় মাসের ঈষৎ ঠান্ডা বাতাসে ঊর্ধ্বমুখী ঐরাবত। আপনি কি আমাকে স্টেশনের পথ দেখাতে পারেন? ভাড়া ৳২৫০ টাকা।",
    ),
    (
        "Tamil",
        "யாமறிந்த மொழிகளிலே தமிழ்மொழி போல் இனிதாவது எங்கும் காணோம். நிலையம் எங்கே இருக்கிறது? கட்டணம் 150 ரூபாய்.",
    ),
    (
        "Thai",
        "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน จงฝ่าฟันพัฒนาวิชาการ ๑๒๓ บาท สถานีรถไฟอยู่ที่ไหนครับ",
    ),
    (
        "Chinese",
        "视野无限广，窗外有蓝天。请问去火车站怎么走？从这里一直往前走，过两个红绿灯，然后左转，大约需要15分钟。票价是￥128.50，“不算太贵”，他说。",
    ),
    (
        "Japanese",
        "いろはにほへと散りぬるを、我が世誰ぞ常ならむ。すみません、駅までの道を教えていただけますか？コンピューターのプログラミングは、２０２６年でも「楽しい」仕事です。",
    ),
    (
        "Korean",
        "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. 역까지 어떻게 가나요? 요금은 1,250원이고 약 15분 걸립니다.",
    ),
    (
        "Georgian",
        "ცხელ ნიმუშს რომ ვაწვდით, მჭლე ბავშვს ფქვილი ექაჩება. სად არის სადგური? ბილეთი 25 ლარი ღირს.",
    ),
    (
        "Armenian",
        "Բել դղյակի ձախ ժամն օֆ ազգությանը ցպահանջ չճշտած վնաս էր եւ փառք։ Որտե՞ղ է կայարանը։",
    ),
    (
        "Amharic",
        "ሰማይ አይታረስ ንጉሥ አይከሰስ። ጣቢያው የት ነው? ዋጋው ፻፳ ብር ነው፤ በ፲ ደቂቃ ይደርሳል።",
    ),
    (
        "emoji",
        "Great work 👏🏽! 👩‍👩‍👧‍👦 went to 🇯🇵 and 🇩🇪🏳️‍🌈 — see you 2️⃣morrow ☕️🙂‍↕️ ❤️‍🔥❤️… ✅ done, 🚫 not 🫠",
    ),
];

/// Real files: this project's own.
const FILES: &[(&str, &str)] = &[
    (
        "English",
        concat!(
            include_str!("../../../../LICENSE"),
            include_str!("../../../DECISIONS.md")
        ),
    ),
    (
        "code",
        concat!(
            include_str!("../../split.rs"),
            include_str!("../../merges.rs"),
            include_str!("../../tally.rs")
        ),
    ),
];

/// Each corpus with its name, of about so many bytes.
pub(crate) fn all(bytes: usize) -> Vec<(&'static str, String)> {
    let mut corpora = Vec::new();
    for (name, text) in FILES {
        corpora.push((*name, lengthened(text, bytes)));
    }
    for (name, text) in PROSE {
        corpora.push((*name, shuffled(text, bytes)));
    }
    corpora.push(("tool JSON", generated(bytes, tool)));
    corpora.push(("base64", generated(bytes, base64)));
    corpora.push(("log", generated(bytes, log_line)));
    corpora.push(("table", generated(bytes, table_row)));
    corpora
}

/// About a kilobyte of prose, as a question to a chat model may have.
pub(crate) fn chat() -> String {
    let skipped = FILES[0].1.chars().skip(3000);
    skipped.take(1000).collect()
}

fn lengthened(text: &str, bytes: usize) -> String {
    let mut all = text.repeat(bytes.div_ceil(text.len()));
    all.truncate(all.floor_char_boundary(bytes));
    all
}

/// The words in another order each time, so that neighbours differ; where there are no blanks,
/// stretches of characters.
fn shuffled(text: &str, bytes: usize) -> String {
    let mut parts: Vec<&str> = text.split_inclusive(' ').collect();
    if parts.len() < 8 {
        parts = text
            .split_inclusive(['，', '、', '。', '？', 'の', '的', ' '])
            .collect();
    }
    let mut random = Random(text.len() as u64);
    let mut all = text.to_owned();
    while all.len() < bytes {
        all.push_str(parts[random.below(parts.len())]);
        if random.below(40) == 0 {
            all.push_str("\n\n");
        }
    }
    all
}

fn generated(bytes: usize, line: fn(&mut Random) -> String) -> String {
    let mut random = Random(bytes as u64);
    let mut all = String::new();
    while all.len() < bytes {
        all.push_str(&line(&mut random));
    }
    all
}

fn tool(random: &mut Random) -> String {
    let names = [
        "location",
        "unit",
        "startDate",
        "max_results",
        "userId",
        "query",
        "isEnabled",
    ];
    let name = names[random.below(names.len())];
    let number = random.below(100_000);
    format!(
        "{{\n  \"type\": \"function\",\n  \"function\": {{\"name\": \"get_{name}_{number}\", \"description\": \
         \"Returns the {name} for the given input.\", \"parameters\": {{\"type\": \"object\", \
         \"properties\": {{\"{name}\": {{\"type\": \"string\", \"default\": \"{number}.5e-3\"}}}}, \
         \"required\": [\"{name}\"]}}}}\n}},\n"
    )
}

fn base64(random: &mut Random) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let line = (0..76).map(|_| char::from(alphabet[random.below(64)]));
    line.chain(['\n']).collect()
}

fn log_line(random: &mut Random) -> String {
    let levels = ["INFO ", "WARN ", "ERROR", "DEBUG"];
    format!(
        "2026-11-20T{:02}:{:02}:{:02}.{:03}Z {} [worker-{}] o.a.k.c.NetworkClient - took {}ms, id=0x{:08x}\r\n",
        random.below(24),
        random.below(60),
        random.below(60),
        random.below(1000),
        levels[random.below(4)],
        random.below(16),
        random.below(9000),
        random.below(1 << 31),
    )
}

fn table_row(random: &mut Random) -> String {
    let width = random.below(30);
    format!(
        "| {:<width$} |{:>12}|\t{:^9}  |   \n",
        random.below(1000),
        -3,
        "x/y"
    )
}

/// A small generator of our own, so that a seed means the same text for ever.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
