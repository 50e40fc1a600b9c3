//! Runs a target: seeds first, then mutants, for a time or a number; a stall is a failure too.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::mutate::{Dice, mutate};

/// Mutants in a brief run.
const BRIEFLY: u64 = 4_000;

/// How many share the time of a long run.
const TARGETS: usize = 9;

/// More seeds are not kept.
const POOL_MAX: usize = 4_000;

/// Whoever needs longer for one input hangs.
const STALL: Duration = Duration::from_secs(20);

/// An input that broke its target.
pub(crate) struct Found {
    pub(crate) input: Vec<u8>,
    pub(crate) why: String,
}

/// What a target is: takes an input and some luck, and says how it behaved.
pub(crate) trait Target: Fn(&[u8], &mut Dice) -> String {}
impl<F: Fn(&[u8], &mut Dice) -> String> Target for F {}

pub(crate) fn run(name: &str, mut seeds: Vec<Vec<u8>>, target: impl Target) {
    seeds.extend(corpus(name));
    assert!(!seeds.is_empty());
    if let Some(found) = attack(name, seeds, BRIEFLY, target) {
        let path = save(name, &found.input);
        panic!("{}\nthe input is in {}", found.why, path.display());
    }
}

pub(crate) fn attack(
    name: &str,
    mut pool: Vec<Vec<u8>>,
    briefly: u64,
    target: impl Target,
) -> Option<Found> {
    let until = seconds().map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let luck = match until {
        Some(_) => u64::from(std::process::id()) ^ now(),
        None => 7,
    };
    let mut dice = Dice::new(luck);
    let watch = Watch::over(name);
    let (mut known, mut tried) = (HashSet::new(), 0_u64);
    let seeds = pool.len();
    loop {
        let at = usize::try_from(tried).unwrap();
        let input = match pool.get(at).filter(|_| at < seeds) {
            Some(seed) => seed.clone(),
            None => {
                let base = dice.below(pool.len());
                mutate(&pool[base], &pool, &mut dice)
            }
        };
        watch.begins(&input);
        let outcome = catch_unwind(AssertUnwindSafe(|| target(&input, &mut dice)));
        watch.ends();
        match outcome {
            Err(panic) => {
                let why = words(panic.as_ref());
                return Some(Found { input, why });
            }
            Ok(behaviour) => {
                if known.insert(hash(&behaviour)) && at >= seeds && pool.len() < POOL_MAX {
                    pool.push(input);
                }
            }
        }
        tried += 1;
        let over = match until {
            Some(until) => Instant::now() >= until && at >= seeds,
            None => tried >= u64::try_from(seeds).unwrap() + briefly,
        };
        if over {
            println!("{name}: {tried} inputs, {} behaviours", known.len());
            return None;
        }
    }
}

/// What each target has of the time, if one is given: as many run at once as there are cores.
fn seconds() -> Option<u64> {
    let all: u64 = std::env::var("TOLLGATE_FUZZ_SECONDS")
        .ok()?
        .parse()
        .unwrap();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let at_once = u64::try_from(cores.min(TARGETS)).unwrap();
    Some((all * at_once / u64::try_from(TARGETS).unwrap()).max(1))
}

fn now() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    since.as_secs()
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let word = panic.downcast_ref::<&str>().map(|&word| word.to_owned());
    text.or(word).unwrap_or_else(|| "it panicked".to_owned())
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fuzz/corpus")
        .join(name)
}

/// What broke it once, and what is odd enough to be kept.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let Ok(files) = fs::read_dir(folder(name)) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn save(name: &str, input: &[u8]) -> PathBuf {
    fs::create_dir_all(folder(name)).unwrap();
    let path = folder(name).join(format!("found-{:016x}", hash(&format!("{input:?}"))));
    fs::write(&path, input).unwrap();
    path
}

/// The input that is tried, and since when.
type Tried = Mutex<Option<(Instant, Vec<u8>)>>;

/// Sees that no input takes forever.
struct Watch(Arc<Tried>);

impl Watch {
    fn over(name: &str) -> Self {
        let shared: Arc<Tried> = Arc::default();
        let (seen, name) = (Arc::downgrade(&shared), name.to_owned());
        std::thread::spawn(move || {
            while let Some(shared) = seen.upgrade() {
                if let Some((since, input)) = &*shared.lock().unwrap()
                    && since.elapsed() > STALL
                {
                    let path = save(&name, input);
                    println!("{name} hangs; the input is in {}", path.display());
                    std::process::abort();
                }
                drop(shared);
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        Self(shared)
    }

    fn begins(&self, input: &[u8]) {
        *self.0.lock().unwrap() = Some((Instant::now(), input.to_vec()));
    }

    fn ends(&self) {
        *self.0.lock().unwrap() = None;
    }
}
