//! HTTP/1.1 as clients and proxies speak it, well and badly.

use super::*;

fn keep_alive(body: &str) -> String {
    post(CHAT, "", body).replace("connection: close\r\n", "")
}

#[test]
fn a_connection_serves_many_requests_and_pipelined_ones_in_order() {
    let fake = start();
    let questions: Vec<_> = ["one", "two", "three"]
        .iter()
        .map(|word| {
            json!({"model": word, "messages": [{"role": "user", "content": word}]}).to_string()
        })
        .collect();
    let raw =
        keep_alive(&questions[0]) + &keep_alive(&questions[1]) + &post(CHAT, "", &questions[2]);
    let reply = send(&fake, &raw);
    let text = String::from_utf8(reply.raw).unwrap();
    let models: Vec<_> = text
        .match_indices("\"model\":\"")
        .map(|(at, found)| text[at + found.len()..].split('"').next().unwrap())
        .collect();
    assert_eq!(models, ["one", "two", "three"]);
    assert!(fake.requests().iter().all(|seen| seen.connection == 1));
    assert_eq!(chat(&fake, &question()).status(), 200);
    assert_eq!(fake.requests()[3].connection, 2);
}

#[test]
fn the_body_is_read_however_it_is_framed_and_cut() {
    let fake = start();
    let body = question().to_string();
    let (first, second) = body.split_at(10);
    let chunked = format!(
        "POST {CHAT} HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nconnection: close\r\n\r\n{:x};odd=1\r\n{first}\r\n{:X}\r\n{second}\r\n0\r\nx-trailer: 1\r\n\r\n",
        first.len(),
        second.len(),
    );
    for raw in [post(CHAT, "", &body), chunked] {
        for pieces in [1, 3, raw.len()] {
            let mut stream = connect(&fake, PATIENCE);
            stream.set_nodelay(true).unwrap();
            for piece in raw.as_bytes().chunks(raw.len().div_ceil(pieces)) {
                stream.write_all(piece).unwrap();
            }
            assert_eq!(read_to_end(&mut stream).status(), 200, "{raw}");
            assert_eq!(fake.requests().last().unwrap().body, body.as_bytes());
        }
    }
}

#[test]
fn who_expects_leave_to_send_gets_it() {
    let fake = start();
    let body = question().to_string();
    let raw = post(CHAT, "expect: 100-continue\r\n", &body);
    let (head, body) = raw.split_at(raw.len() - body.len());
    let mut stream = connect(&fake, PATIENCE);
    stream.write_all(head.as_bytes()).unwrap();
    let mut leave = [0; 25];
    stream.read_exact(&mut leave).unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(read_to_end(&mut stream).status(), 200);
    assert_eq!(
        send(&fake, &raw).status(),
        200,
        "with the body there already nothing is said"
    );
}

#[test]
fn old_clients_get_what_they_understand() {
    let fake = start();
    let raw = |more: &str| {
        post(CHAT, more, &streamed().to_string())
            .replace("HTTP/1.1", "HTTP/1.0")
            .replace("connection: close\r\n", "")
    };
    let reply = send(&fake, &raw(""));
    assert_eq!(
        (reply.header("transfer-encoding"), reply.end),
        (None, End::Closed)
    );
    assert!(reply.body().ends_with("data: [DONE]\n\n"));
}

#[test]
fn what_is_no_request_is_refused_and_the_connection_closed() {
    let fake = start();
    let head = format!("POST {CHAT} HTTP/1.1\r\n");
    let large = "x".repeat(70_000);
    let many: String = (0..200).map(|n| format!("h{n}: 1\r\n")).collect();
    for (raw, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("{head}content-length: x\r\n\r\n"), 400),
        (format!("{head}content-length: -1\r\n\r\n"), 400),
        (format!("{head}content-length: +1\r\n\r\n"), 400),
        (
            format!("{head}content-length: 1\r\ncontent-length: 1\r\n\r\n{{"),
            400,
        ),
        (
            format!("{head}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"),
            400,
        ),
        (format!("{head}content-length: 67108865\r\n\r\n"), 413),
        (
            format!("{head}content-length: 99999999999999999999999\r\n\r\n"),
            413,
        ),
        (
            format!("{head}transfer-encoding: gzip, chunked\r\n\r\n"),
            501,
        ),
        (
            format!("{head}transfer-encoding: chunked\r\n\r\nxyz\r\n"),
            400,
        ),
        (
            format!("{head}transfer-encoding: chunked\r\n\r\nffffffff\r\n"),
            413,
        ),
        (
            format!("{head}transfer-encoding: chunked\r\n\r\n1\r\nabc\r\n"),
            400,
        ),
        (format!("{head}x: {large}\r\n\r\n"), 431),
        (format!("{head}{many}\r\n"), 431),
    ] {
        let reply = send(&fake, &raw);
        let shown: String = raw.chars().take(100).collect();
        assert_eq!(
            (reply.status(), reply.end),
            (status, End::Closed),
            "{shown}"
        );
        assert!(reply.json()["error"]["message"].is_string());
    }
    assert_eq!(fake.totals().requests, 0);
}

#[test]
fn the_thread_ends_with_the_handle() {
    let fake = start();
    let address = fake.address();
    let mut kept = connect(&fake, PATIENCE);
    chat(&fake, &question());
    drop(fake);
    assert_eq!(read_to_end(&mut kept).end, End::Closed);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn two_cannot_have_the_same_port() {
    let fake = start();
    let address = fake.address().to_string();
    assert!(Fake::start(&address, Settings::default()).is_err());
    fake.stop_listening().unwrap();
    assert!(
        Fake::start("127.0.0.1:0", Settings::default())
            .unwrap()
            .address()
            != fake.address()
    );
}
