//! What filters ask, over gRPC.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tollgate_core::config::Key;
use tollgate_core::money::ids::Incarnation;
use tollgate_core::money::message::SyncRequest;
use tollgate_core::money::rates::{RateGrant, RateId, RateWant};
use tollgate_core::tenancy::ChangedKeys;
use tollgate_core::tenancy::KeyHash;
use tollgate_wire::{MESSAGE_BYTES_MAX, digest, proto};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::engine::{Engine, Trouble};

/// The calls as tonic knows them, of both sides; kept in git as the messages are, and for the same reason.
#[allow(
    missing_docs,
    clippy::all,
    clippy::too_many_lines,
    clippy::use_self,
    clippy::allow_attributes_without_reason,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    unused_qualifications,
    reason = "written by tonic; what they mean stands in budget.proto"
)]
#[rustfmt::skip]
#[path = "rpc.rs"]
pub mod calls;

use calls::budget_client::BudgetClient;
use calls::budget_server::{Budget, BudgetServer};

/// Keys that may be looked up, and limits that may be asked for, in one call.
const ASKED_MAX: usize = 1_024;
/// Whoever wants to know whether the service answers waits so long.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// A connection on which nothing comes back is closed after this, and whoever is behind it connects again.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Answers until `stop` comes; then no more is accepted, and what runs ends.
pub async fn serve(
    engine: Engine,
    incoming: TcpIncoming,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    let service = BudgetServer::new(Calls { engine }).max_decoding_message_size(MESSAGE_BYTES_MAX);
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .serve_with_incoming_shutdown(service, incoming, stop)
        .await
        .map_err(|error| format!("the budget service cannot go on: {error}"))
}

/// Takes the address, so that nobody else has it from now on.
pub fn bind(address: SocketAddr) -> Result<TcpIncoming, String> {
    let incoming = TcpIncoming::bind(address);
    let incoming = incoming
        .map_err(|error| format!("the budget service cannot listen on {address}: {error}"))?;
    Ok(incoming.with_nodelay(Some(true)))
}

/// Whether a budget service answers there.
pub async fn answers(address: SocketAddr) -> bool {
    let Ok(endpoint) = Endpoint::from_shared(format!("http://{address}")) else {
        return false;
    };
    let endpoint = endpoint
        .connect_timeout(ANSWER_WITHIN)
        .timeout(ANSWER_WITHIN);
    let Ok(channel) = endpoint.connect().await else {
        return false;
    };
    let since = u64::MAX;
    let mut client = BudgetClient::new(channel);
    client.watch(proto::WatchRequest { since }).await.is_ok()
}

struct Calls {
    engine: Engine,
}

#[tonic::async_trait]
impl Budget for Calls {
    async fn hello(
        &self,
        request: Request<proto::HelloRequest>,
    ) -> Result<Response<proto::HelloReply>, Status> {
        let reply = self.engine.hello().await.map_err(status)?;
        let proto::HelloRequest { node, version } = request.into_inner();
        let incarnation = reply.incarnation.0;
        log(&format!(
            "process {incarnation} begins: node {node:?}, version {version:?}"
        ));
        Ok(Response::new(proto::HelloReply {
            incarnation,
            revision: self.engine.directory().revision(),
            leases_from: reply.leases_from.0,
        }))
    }

    async fn sync(
        &self,
        request: Request<proto::SyncRequest>,
    ) -> Result<Response<proto::SyncReply>, Status> {
        let message = request.into_inner();
        let hash = digest(&message);
        let batch: SyncRequest = message.try_into().map_err(unreadable)?;
        let by = batch.incarnation.0;
        let stream = batch.stream.0;
        let answer = self.engine.sync(batch, hash).await.map_err(status)?;
        if let Err(refusal) = answer.result {
            let seq = answer.seq.0;
            log(&format!(
                "batch {seq} of process {by}, stream {stream} is refused: {refusal:?}"
            ));
        }
        Ok(Response::new(answer.into()))
    }

    async fn lookup(
        &self,
        request: Request<proto::LookupRequest>,
    ) -> Result<Response<proto::LookupReply>, Status> {
        let asked = request.into_inner().key_sha256;
        bounded(asked.len())?;
        let hashes = asked.iter().map(|bytes| {
            let bytes = bytes.as_slice().try_into();
            bytes.map(KeyHash).map_err(|_| {
                Status::invalid_argument("LookupRequest.key_sha256: a hash has 32 bytes")
            })
        });
        let hashes = hashes.collect::<Result<Vec<KeyHash>, Status>>()?;
        let directory = self.engine.directory();
        let keys = hashes.iter();
        let keys = keys.map(|hash| state(hash, directory.key(hash)));
        Ok(Response::new(proto::LookupReply {
            revision: directory.revision(),
            keys: keys.collect(),
        }))
    }

    async fn watch(
        &self,
        request: Request<proto::WatchRequest>,
    ) -> Result<Response<proto::WatchReply>, Status> {
        let directory = self.engine.directory();
        let changed = directory.changed(request.into_inner().since);
        let (reset, keys) = match &changed.keys {
            ChangedKeys::All => (true, Vec::new()),
            ChangedKeys::These(keys) => {
                let keys = keys.iter();
                let keys = keys.map(|hash| state(hash, directory.key(hash)));
                (false, keys.collect())
            }
        };
        let commons_json = if changed.commons {
            json(&directory.commons())
        } else {
            Vec::new()
        };
        Ok(Response::new(proto::WatchReply {
            revision: changed.revision,
            reset,
            keys,
            commons_json,
        }))
    }

    async fn rates(
        &self,
        request: Request<proto::RatesRequest>,
    ) -> Result<Response<proto::RatesReply>, Status> {
        let proto::RatesRequest { incarnation, wants } = request.into_inner();
        bounded(wants.len())?;
        let wants = wants.into_iter().map(|want| RateWant {
            limit: RateId(want.limit),
            amount: want.amount,
            per_minute: want.per_minute,
            burst: want.burst,
            unused: want.unused,
            in_use: want.in_use,
        });
        let grants = self
            .engine
            .rates(Incarnation(incarnation), wants)
            .into_iter();
        let grants = grants.map(|grant: RateGrant| proto::RateGrant {
            limit: grant.limit.0,
            amount: grant.amount,
            valid_ms: grant.valid_ms,
            retry_ms: grant.retry_ms,
            left: grant.left,
        });
        Ok(Response::new(proto::RatesReply {
            grants: grants.collect(),
        }))
    }
}

fn state(hash: &KeyHash, key: Option<Key>) -> proto::KeyState {
    proto::KeyState {
        key_sha256: hash.0.to_vec(),
        key_json: key.map(|key| json(&key)).unwrap_or_default(),
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    // Serialisation fails on maps whose keys are no strings, and on failing writers: neither is here.
    serde_json::to_vec(value).unwrap_or_default()
}

fn bounded(asked: usize) -> Result<(), Status> {
    if asked > ASKED_MAX {
        let why = format!("{asked} in one call are more than {ASKED_MAX}");
        return Err(Status::invalid_argument(why));
    }
    Ok(())
}

fn unreadable(why: tollgate_wire::Unreadable) -> Status {
    Status::invalid_argument(why.to_string())
}

/// Not a word of it is the asker's fault, and the same bytes may succeed later.
fn status(trouble: Trouble) -> Status {
    Status::unavailable(trouble.to_string())
}

fn log(line: &str) {
    eprintln!("budget service: {line}");
}
