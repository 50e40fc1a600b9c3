//! The gateway under attack, and what is asked of it afterwards.

use serde_json::json;
use tollgate_tests::{Call, Gateway, Reply, Setup, wait_for};

pub(crate) const CHAT: &str = "/v1/chat/completions";
/// As `guarded.yaml` has it.
pub(crate) const BODY_BYTES_MAX: usize = 2_048;

/// A gateway of one worker, so that what breaks it for one request breaks it for all.
pub(crate) struct Guarded {
    pub(crate) gateway: Gateway,
    machines: u64,
}

impl Guarded {
    pub(crate) fn start() -> Self {
        Self::of(Setup::named("guarded.yaml"))
    }

    /// With the limit for bodies that is there when nobody says one.
    pub(crate) fn with_usual_limit() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/harness/gateways/guarded.yaml");
        let config = std::fs::read_to_string(path).unwrap();
        assert!(config.contains("  max_body: 2KiB\n"));
        Self::of(Setup::of(&config.replace("  max_body: 2KiB\n", "")))
    }

    fn of(setup: Setup) -> Self {
        let gateway = setup.workers(1).start();
        let machines = sum(&gateway, "^wasm.envoy.wasm.runtime.v8.created");
        assert!(machines > 0);
        Self { gateway, machines }
    }

    /// Sends a request that must be refused; says how it was.
    pub(crate) fn refusal(&self, call: Call) -> String {
        refusal(&call.send())
    }

    /// It answers, with the machine it had in the beginning, and nothing of what was refused is left or was passed on.
    pub(crate) fn is_well(&self) {
        let gateway = &self.gateway;
        let alpha = gateway.provider("alpha");
        assert_eq!(
            gateway.attempts(),
            [""; 0],
            "a provider saw what was refused"
        );
        let reply = gateway.chat("small", "still there?").key("team-a").send();
        assert_eq!(reply.status(), 200, "{}", reply.text());
        assert_eq!(alpha.requests().len(), 1);
        alpha.reset();
        assert_eq!(
            sum(gateway, "^wasm.envoy.wasm.runtime.v8.created"),
            self.machines,
            "a machine was made anew"
        );
        assert_eq!(sum(gateway, "vm_reload"), 0, "a machine was reloaded");
        for active in [
            "^http.tollgate.downstream_rq_active",
            "^cluster.tollgate-alpha.upstream_rq_active",
        ] {
            wait_for(active, || (sum(gateway, active) == 0).then_some(()));
        }
    }
}

/// The sum of Envoy's own figures whose names match.
fn sum(gateway: &Gateway, pattern: &str) -> u64 {
    let page = gateway
        .ask_envoy(&format!("/stats?filter={pattern}"))
        .text();
    let values = page.lines().filter_map(|line| line.rsplit_once(": "));
    values.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

/// `status type code param` of an error as OpenAI's SDKs read it.
pub(crate) fn refusal(reply: &Reply) -> String {
    let json = reply.json();
    assert_eq!(
        reply.header("content-type"),
        Some("application/json"),
        "{json}"
    );
    let error = json["error"]
        .as_object()
        .unwrap_or_else(|| panic!("no error: {json}"));
    let fields: Vec<_> = error.keys().map(String::as_str).collect();
    assert_eq!(fields, ["code", "message", "param", "type"], "{json}");
    let message = error["message"].as_str().unwrap();
    assert!((10..2_000).contains(&message.len()), "{json}");
    let word = |name: &str| {
        if error[name].is_null() {
            return "-".to_owned();
        }
        let word = error[name].as_str();
        word.unwrap_or_else(|| panic!("`{name}` is no word: {json}"))
            .to_owned()
    };
    let status = reply.status();
    format!(
        "{status} {} {} {}",
        word("type"),
        word("code"),
        word("param")
    )
}

/// A body in chunks of this size, as it goes over the wire.
fn in_chunks(body: &[u8], size: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    for piece in body.chunks(size) {
        wire.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        wire.extend_from_slice(piece);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

/// A valid question of exactly so many bytes.
pub(crate) fn question_of(bytes: usize) -> Vec<u8> {
    let empty =
        json!({"model": "small", "messages": [{"role": "user", "content": ""}]}).to_string();
    let text = "x".repeat(bytes - empty.len());
    let body = empty.replace("\"content\":\"\"", &format!("\"content\":\"{text}\""));
    assert_eq!(body.len(), bytes);
    body.into_bytes()
}

pub(crate) fn post(guarded: &Guarded, body: impl Into<Vec<u8>>) -> Call {
    let call = guarded.gateway.call("POST", CHAT).key("team-a");
    call.header("content-type", "application/json").bytes(body)
}

pub(crate) fn post_in_chunks(guarded: &Guarded, body: &[u8]) -> Call {
    post(guarded, in_chunks(body, 1_000)).header("transfer-encoding", "chunked")
}
