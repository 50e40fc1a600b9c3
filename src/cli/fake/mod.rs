//! A provider to practise on: it speaks the dialects of real ones, counts exactly, keeps a ledger, and breaks on demand.
//!
//! ```no_run
//! use tollgate::fake::{Fake, Reply, Settings};
//!
//! let fake = Fake::start("127.0.0.1:0", Settings::default())?;
//! fake.script([Reply::status(429).retry_after(2), Reply::text("hello")]);
//! println!("http://{}/v1/chat/completions", fake.address());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! | path | as |
//! |---|---|
//! | `/openai/v1/...`, and every path that is nobody else's | OpenAI |
//! | `/anthropic/v1/messages`, `/v1/messages`, and `count_tokens` below | Anthropic |
//! | `/gemini/v1beta/models/...`, `/v1beta/models/...`, `/gemini/.../publishers/google/models/...` | Gemini |
//! | `/cohere/v2/chat`, `/v2/chat` | Cohere |
//! | `/bedrock/model/...`, `/model/...` | Bedrock: Converse, and Anthropic's models; signatures are checked |
//! | `/gemini_vertex/.../publishers/google/...`, `/anthropic_vertex/.../publishers/anthropic/...` | Vertex |
//! | `/azure/openai/deployments/...`, `/openai/deployments/...` | Azure |
//!
//! What a reply can be made to do is in [`Reply`]; clients ask for it in the header `x-fake-fault`.

mod answer;
mod connection;
mod control;
mod dialect;
mod gzip;
mod ledger;
mod plan;
mod reply;
mod serve;
mod state;
mod text;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc as reports;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use ledger::{Ending, Seen, Totals};
pub use reply::{At, Between, Break, Encoding, Framing, How, Lines, Reply, UsageClaim};
pub use state::Settings;

use state::Shared;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 4_096;
/// After a failure to accept, most often for want of file descriptors, this long nothing is tried.
const AFTER_FAILURE: Duration = Duration::from_millis(20);

/// A running provider. It runs on a thread of its own until it is dropped, for synchronous tests and asynchronous ones alike.
pub struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
}

/// What becomes of those who knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// They are served.
    Open,
    /// They are let in and shown out.
    Revolving,
    /// They are refused.
    Shut,
}

/// An order to the thread, and where to report.
struct Order {
    door: Door,
    done: reports::Sender<io::Result<()>>,
}

impl Fake {
    /// Starts a provider; port 0 takes a free one.
    pub fn start(address: &str, settings: Settings) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(settings));
        let (orders, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let house = House {
            address,
            entrance: Entrance::Listening(listener),
            door: Door::Open,
            guests: JoinSet::new(),
            shared: Arc::clone(&shared),
            connections: 0,
        };
        let thread = thread::Builder::new()
            .name(format!("fake {address}"))
            .spawn(move || runtime.block_on(house.run(inbox)))?;
        Ok(Self {
            address,
            shared,
            orders,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds replies to the script: each is given once, or as often as it says; then it is as before.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.script(replies);
    }

    /// The same for one reply.
    pub fn next(&self, reply: Reply) {
        self.script([reply]);
    }

    /// Gives this reply whenever there is no script, as often as it says. Of several the first that applies is given.
    pub fn always(&self, reply: Reply) {
        self.shared.stand(reply);
    }

    /// Forgets script and standing replies.
    pub fn heal(&self) {
        self.shared.heal();
    }

    /// Forgets script, standing replies and ledger.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Changes the settings from the next request on.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.shared.set(change);
    }

    /// The requests seen, oldest first.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.read(ledger::Ledger::requests)
    }

    /// The sums.
    pub fn totals(&self) -> Totals {
        self.shared.read(ledger::Ledger::totals)
    }

    /// Waits until the requests seen are as wanted, and gives them back; as an error when the time is over.
    pub fn wait(
        &self,
        time: Duration,
        wanted: impl Fn(&[Seen]) -> bool,
    ) -> Result<Vec<Seen>, Vec<Seen>> {
        self.shared.wait(time, wanted)
    }

    /// Refuses connections and drops those there are. The port stays ours.
    pub fn stop_listening(&self) -> io::Result<()> {
        self.order(Door::Shut)
    }

    /// Accepts connections and closes them before any byte, also those there are.
    pub fn hang_up(&self) -> io::Result<()> {
        self.order(Door::Revolving)
    }

    /// Serves again, on the same port.
    pub fn listen_again(&self) -> io::Result<()> {
        self.order(Door::Open)
    }

    fn order(&self, door: Door) -> io::Result<()> {
        let gone = || io::Error::other("the provider's thread has ended");
        let (done, report) = reports::channel();
        self.orders.send(Order { door, done }).map_err(|_| gone())?;
        report.recv().map_err(|_| gone())?
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let (orders, _) = mpsc::unbounded_channel();
        // The thread ends when nobody can give it orders any more.
        self.orders = orders;
        if let Some(thread) = self.thread.take() {
            // If it panicked, its message is on standard error already.
            let _ = thread.join();
        }
    }
}

/// What the thread looks after.
struct House {
    address: SocketAddr,
    entrance: Entrance,
    door: Door,
    guests: JoinSet<()>,
    shared: Arc<Shared>,
    connections: u64,
}

enum Entrance {
    Listening(TcpListener),
    /// Bound and not listening: connections are refused, and nobody else gets the port.
    Held(TcpSocket),
    /// While one becomes the other.
    Nothing,
}

impl House {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        loop {
            let listener = match &self.entrance {
                Entrance::Listening(listener) => Some(listener),
                Entrance::Held(_) | Entrance::Nothing => None,
            };
            tokio::select! {
                order = inbox.recv() => {
                    let Some(Order { door, done }) = order else { return };
                    let turned = self.turn(door).await;
                    // Who gave the order may have gone.
                    let _ = done.send(turned);
                }
                accepted = accept(listener) => match accepted {
                    Ok(guest) => self.admit(guest),
                    Err(_) => tokio::time::sleep(AFTER_FAILURE).await,
                },
                Some(_) = self.guests.join_next() => {}
            }
        }
    }

    fn admit(&mut self, guest: tokio::net::TcpStream) {
        if self.door != Door::Open {
            return;
        }
        self.connections = self.connections.saturating_add(1);
        let (shared, number) = (Arc::clone(&self.shared), self.connections);
        self.guests
            .spawn(async move { serve::converse(guest, &shared, number).await });
    }

    async fn turn(&mut self, door: Door) -> io::Result<()> {
        self.door = door;
        if door != Door::Open {
            self.guests.shutdown().await;
        }
        let entrance = std::mem::replace(&mut self.entrance, Entrance::Nothing);
        self.entrance = match (door, entrance) {
            (Door::Shut, Entrance::Held(socket)) => Entrance::Held(socket),
            (Door::Shut, listening) => {
                drop(listening);
                Entrance::Held(bound(self.address)?)
            }
            (Door::Open | Door::Revolving, Entrance::Listening(listener)) => {
                Entrance::Listening(listener)
            }
            (Door::Open | Door::Revolving, Entrance::Held(socket)) => {
                Entrance::Listening(socket.listen(BACKLOG)?)
            }
            (Door::Open | Door::Revolving, Entrance::Nothing) => {
                Entrance::Listening(bound(self.address)?.listen(BACKLOG)?)
            }
        };
        Ok(())
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<tokio::net::TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections we closed may still be in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
