//! `tollgate fake`: a provider to practise on, in the foreground.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use crate::fake::{Fake, Settings};

/// Runs a provider that speaks OpenAI's, Anthropic's, Gemini's and Cohere's dialect, counts exactly, and breaks on demand.
///
/// Ask for a fault in a request header, for example `x-fake-fault: 429;retry_after=2`, `cut@3`, `stall@head`,
/// `error@start`, `tokens=50;pace_ms=20`, or as JSON by `POST /_control`. `GET /_ledger` tells what was seen.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9100")]
    listen: String,
    /// How the provider calls itself in its answers.
    #[arg(long, default_value = "fake")]
    name: String,
    /// The key clients must bring; without it everybody is served.
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// Milliseconds before the first token.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    first_token_ms: u64,
    /// Milliseconds before each further token.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pace_ms: u64,
    /// So many requests are kept for `GET /_ledger`; 0 for benchmarks.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    keep_requests: usize,
}

/// Serves until the process is told to end.
pub fn run(args: &Args) -> Result<(), String> {
    let settings = Settings {
        name: args.name.clone(),
        api_key: args.api_key.clone(),
        first_token_ms: args.first_token_ms,
        pace_ms: args.pace_ms,
        keep_requests: args.keep_requests,
    };
    let fake = Fake::start(&args.listen, settings)
        .map_err(|problem| format!("cannot listen on {}: {problem}", args.listen))?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(told_to_end(&fake)))
        .map_err(|problem| format!("cannot wait for signals: {problem}"))
}

async fn told_to_end(fake: &Fake) -> io::Result<()> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    announce(&format!("ready http://{}", fake.address()));
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    Ok(())
}

#[allow(
    clippy::print_stdout,
    reason = "a program tells who started it where it listens"
)]
fn announce(line: &str) {
    println!("{line}");
}
