//! Every way to go wrong goes wrong as it says.

use std::time::Instant;

use super::super::{Between, Ending, Lines, Reply};
use super::*;

#[test]
fn a_broken_stream_breaks_where_it_says() {
    // Five tokens: a b c d e.
    for (fault, story, complete, end, tokens) in [
        ("cut@0", "role", false, End::Closed, 0),
        ("cut@3", "role a b c", false, End::Closed, 3),
        ("cut@5", "role a b c d e", false, End::Closed, 5),
        ("cut@9", "role a b c d e stop", false, End::Closed, 5),
        ("reset@2", "role a b", false, End::Reset, 2),
        ("reset@head", "", false, End::Reset, 0),
        ("end@head", "", true, End::Closed, 0),
        ("end@0", "role", true, End::Closed, 0),
        ("end@2", "role a b", true, End::Closed, 2),
        ("end@9", "role a b c d e stop", true, End::Closed, 5),
        ("error@start", "error", true, End::Closed, 0),
        ("error@0", "role error", true, End::Closed, 0),
        ("error@2", "role a b error", true, End::Closed, 2),
    ] {
        let fake = start();
        let reply = faulty(&fake, &format!("{fault};text=a b c d e"), &streamed());
        assert_eq!(
            (reply.status(), reply.story().as_str()),
            (200, story),
            "{fault}"
        );
        assert_eq!((reply.chunks().1, reply.end), (complete, end), "{fault}");
        let ending = if complete {
            Ending::Served
        } else {
            Ending::CutByUs
        };
        let seen = fake
            .wait(PATIENCE, |seen| seen[0].ending == ending)
            .expect(fault);
        assert_eq!(seen[0].tokens, tokens, "{fault}");
        assert_eq!(fake.totals().completion_tokens, tokens, "{fault}");
    }
}

#[test]
fn a_broken_body_is_shorter_than_it_said() {
    let fake = start();
    for (fault, end) in [("cut@2", End::Closed), ("reset@2", End::Reset)] {
        let reply = faulty(&fake, &format!("{fault};tokens=4"), &question());
        let length: usize = reply.header("content-length").unwrap().parse().unwrap();
        assert_eq!(
            (reply.body().len(), reply.end),
            (length / 2, end),
            "{fault}"
        );
    }
    let reply = faulty(&fake, "end@2;tokens=4", &question());
    let length: usize = reply.header("content-length").unwrap().parse().unwrap();
    assert_eq!(reply.body().len(), length);
    assert!(serde_json::from_str::<Value>(&reply.body()).is_err());
}

#[test]
fn a_reply_may_break_before_its_first_byte() {
    for (fault, end) in [("cut", End::Closed), ("reset", End::Reset)] {
        for body in [question(), streamed()] {
            let fake = start();
            let reply = faulty(&fake, fault, &body);
            assert_eq!(
                (reply.raw.as_slice(), reply.end),
                (&b""[..], end),
                "{fault}"
            );
            let seen = fake
                .wait(PATIENCE, |seen| seen[0].ending == Ending::CutByUs)
                .unwrap();
            assert_eq!((seen[0].status, fake.totals().prompt_tokens), (None, 0));
        }
    }
}

#[test]
fn a_stalled_reply_says_no_more_until_the_client_leaves() {
    for (fault, story) in [
        ("stall@start", None),
        ("stall@head", Some("")),
        ("stall@0", Some("role")),
        ("stall@2", Some("role a b")),
    ] {
        let fake = start();
        let header = format!("x-fake-fault: {fault};text=a b c\r\n");
        let raw = post(CHAT, &header, &streamed().to_string());
        let reply = send_within(&fake, &raw, Duration::from_millis(400));
        assert_eq!(reply.end, End::StillOpen, "{fault}");
        match story {
            None => assert_eq!(reply.raw, b""),
            Some(story) => assert_eq!(reply.story(), story),
        }
        fake.wait(PATIENCE, |seen| seen[0].ending == Ending::ClientLeft)
            .expect(fault);
    }
}

#[test]
fn a_status_brings_its_error_and_its_headers() {
    let fake = start();
    for (status, code) in [
        (429, json!("rate_limit_exceeded")),
        (500, Value::Null),
        (529, Value::Null),
        (401, json!("invalid_api_key")),
    ] {
        fake.next(Reply::status(status).retry_after(7).header("x-odd", "1"));
        let reply = chat(&fake, &streamed());
        assert_eq!(
            (reply.status(), &reply.json()["error"]["code"]),
            (status, &code)
        );
        assert_eq!(
            (reply.header("retry-after"), reply.header("x-odd")),
            (Some("7".into()), Some("1".into()))
        );
    }
    fake.next(Reply::status(502).body("text/html", "<h1>Bad gateway</h1>"));
    let reply = chat(&fake, &question());
    assert_eq!(
        (reply.status(), reply.body().as_str()),
        (502, "<h1>Bad gateway</h1>")
    );
    assert_eq!(reply.header("content-type").unwrap(), "text/html");
}

#[test]
fn a_200_may_be_an_error() {
    let reply = faulty(&start(), "error", &question());
    assert_eq!(
        (reply.status(), &reply.json()["error"]["type"]),
        (200, &json!("server_error"))
    );
}

#[test]
fn a_recording_is_played_as_it_is() {
    let fake = start();
    fake.next(Reply::recorded("text/event-stream", "data: x\n\n").in_pieces_of(2));
    let reply = chat(&fake, &streamed());
    assert_eq!(
        (reply.status(), reply.body().as_str()),
        (200, "data: x\n\n")
    );
}

#[test]
fn a_stream_says_the_same_however_it_is_written() {
    let want = "role a b c stop [DONE]";
    for reply in [
        Reply::text("a b c").in_pieces_of(1),
        Reply::text("a b c").in_pieces_of(7),
        Reply::text("a b c").merging(2),
        Reply::text("a b c").merging(100),
        Reply::text("a b c").lines(Lines::Crlf),
        Reply::text("a b c").between(Between::Comments),
        Reply::text("a b c")
            .lines(Lines::Crlf)
            .between(Between::Comments)
            .in_pieces_of(3),
        Reply::text("a b c").framed(super::super::Framing::ContentLength),
        Reply::text("a b c").framed(super::super::Framing::UntilClose),
    ] {
        let fake = start();
        fake.next(reply.clone());
        let got = chat(&fake, &streamed());
        assert_eq!(got.story(), want, "{reply:?}");
        let body = got.body();
        assert_eq!(body.contains("\r\n"), reply.lines == Lines::Crlf);
        assert_eq!(
            body.contains(": keep-alive"),
            reply.between == Between::Comments
        );
        assert_eq!(
            got.header("content-length").is_some(),
            reply.framing == Some(super::super::Framing::ContentLength)
        );
        if got.header("transfer-encoding").is_some() {
            let (chunks, complete) = got.chunks();
            assert!(complete);
            let largest = chunks.iter().map(Vec::len).max().unwrap();
            match (reply.piece_bytes, reply.merge) {
                (Some(size), _) => assert_eq!(largest, size),
                (None, merge) => assert_eq!(chunks.len(), 6_usize.div_ceil(merge.unwrap_or(1))),
            }
        } else {
            assert_eq!(got.end, End::Closed);
        }
    }
}

#[test]
fn pieces_arrive_one_by_one() {
    let fake = start();
    fake.next(Reply::text("a").in_pieces_of(1));
    let mut stream = connect(&fake, PATIENCE);
    stream
        .write_all(post(CHAT, "", &streamed().to_string()).as_bytes())
        .unwrap();
    let mut reads = 0_usize;
    let mut buffer = [0; 65_536];
    while stream.read(&mut buffer).unwrap() > 0 {
        reads += 1;
    }
    assert!(reads > 10, "{reads} reads");
}

#[test]
fn a_gzip_reply_unpacks_to_the_plain_one() {
    for body in [question(), streamed()] {
        let fake = start();
        let plain = faulty(&fake, "text=a b c", &body).body();
        let got = faulty(&fake, "encoding=gzip;text=a b c", &body);
        assert_eq!(got.header("content-encoding").unwrap(), "gzip");
        let packed = match got.header("transfer-encoding") {
            Some(_) => got.chunks().0.concat(),
            None => got.parts().1.to_vec(),
        };
        let same =
            |text: &str| text.replace("000000000000000000000002", "000000000000000000000001");
        let unpacked = String::from_utf8(unpacked(&packed)).unwrap();
        // The second in which it was made may differ.
        let without_time = |text: &str| {
            text.split("\"created\":")
                .map(|part| {
                    part.trim_start_matches(|c: char| c.is_ascii_digit())
                        .to_owned()
                })
                .collect::<String>()
        };
        assert_eq!(without_time(&same(&unpacked)), without_time(&plain));
    }
}

/// Only stored blocks, which is all that is written here; the checksum has a test of its own.
fn unpacked(mut packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    packed = &packed[10..];
    loop {
        let length = usize::from(u16::from_le_bytes([packed[1], packed[2]]));
        plain.extend_from_slice(&packed[5..5 + length]);
        let last = packed[0] == 1;
        packed = &packed[5 + length..];
        if last {
            assert_eq!(packed.len(), 8);
            assert_eq!(
                packed[4..],
                u32::try_from(plain.len()).unwrap().to_le_bytes()
            );
            return plain;
        }
    }
}

#[test]
fn time_passes_where_it_should() {
    let fake = start();
    for (reply, body, at_least) in [
        (Reply::tokens(4).pace_ms(30), streamed(), 90),
        (Reply::tokens(4).pace_ms(30), question(), 90),
        (Reply::tokens(1).first_token_ms(100), streamed(), 100),
        (Reply::tokens(1).first_token_ms(100), question(), 100),
        (Reply::tokens(1).head_ms(100), streamed(), 100),
        (Reply::status(500).head_ms(100), question(), 100),
    ] {
        fake.next(reply.clone());
        let start = Instant::now();
        chat(&fake, &body);
        assert!(
            start.elapsed() >= Duration::from_millis(at_least),
            "{reply:?}"
        );
    }
}

#[test]
fn the_head_of_a_stream_does_not_wait_for_the_first_token() {
    let fake = start();
    fake.next(Reply::tokens(1).first_token_ms(60_000));
    let raw = post(CHAT, "", &streamed().to_string());
    let reply = send_within(&fake, &raw, Duration::from_millis(400));
    assert_eq!(
        (reply.story().as_str(), reply.end),
        ("role", End::StillOpen)
    );
}

#[test]
fn faults_come_as_often_as_they_say() {
    let fake = start();
    let statuses = |count: usize| -> Vec<u16> {
        (0..count)
            .map(|_| chat(&fake, &question()).status())
            .collect()
    };
    fake.script([Reply::status(429), Reply::status(500).times(2)]);
    assert_eq!(statuses(4), [429, 500, 500, 200]);
    fake.always(Reply::status(503).times(2));
    assert_eq!(statuses(3), [503, 503, 200]);
    fake.heal();
    fake.always(Reply::status(503).every(3));
    fake.always(Reply::status(500).times(1));
    assert_eq!(statuses(6), [500, 200, 503, 200, 200, 503]);
    fake.next(Reply::status(401));
    assert_eq!(
        faulty(&fake, "403", &question()).status(),
        403,
        "the header goes before the script"
    );
    assert_eq!(statuses(1), [401]);
}

#[test]
fn a_misspelt_fault_is_told() {
    let fake = start();
    for fault in ["nonsense", "429;times=2", "tokens=-1"] {
        let reply = faulty(&fake, fault, &question());
        assert_eq!(
            (reply.status(), &reply.json()["error"]["code"]),
            (400, &json!("fake_fault")),
            "{fault}"
        );
    }
}

#[test]
fn the_door_can_be_shut_and_opened_again() {
    let fake = start();
    let mut kept = connect(&fake, PATIENCE);
    let keep_alive = post(CHAT, "", &question().to_string()).replace("connection: close\r\n", "");
    kept.write_all(keep_alive.as_bytes()).unwrap();
    assert!(kept.read(&mut [0; 4096]).unwrap() > 0);
    fake.stop_listening().unwrap();
    fake.stop_listening().unwrap();
    assert_eq!(
        read_to_end(&mut kept).end,
        End::Closed,
        "connections there were are dropped"
    );
    let refused = TcpStream::connect(fake.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    fake.listen_again().unwrap();
    assert_eq!(chat(&fake, &question()).status(), 200);
    fake.hang_up().unwrap();
    let reply = read_to_end(&mut connect(&fake, PATIENCE));
    assert_eq!((reply.raw.as_slice(), reply.end), (&b""[..], End::Closed));
    fake.listen_again().unwrap();
    assert_eq!(chat(&fake, &question()).status(), 200);
    assert_eq!(fake.totals().requests, 3);
}

#[test]
fn a_reply_on_its_way_when_the_door_is_shut_was_cut_by_us() {
    let fake = start();
    fake.next(Reply::breaking("stall@1"));
    let mut stream = connect(&fake, PATIENCE);
    stream
        .write_all(post(CHAT, "", &streamed().to_string()).as_bytes())
        .unwrap();
    fake.wait(PATIENCE, |seen| {
        seen.first().is_some_and(|seen| seen.tokens == 1)
    })
    .unwrap();
    fake.stop_listening().unwrap();
    assert_eq!(fake.requests()[0].ending, Ending::CutByUs);
}
