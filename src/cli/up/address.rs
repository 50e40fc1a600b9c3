//! The gateway as a client on this machine sees it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// `HTTP/1.1 200`: all of the answer that is of interest.
const STATUS_LINE_BYTES: usize = 12;
/// How long one question may take: the first one may meet an Envoy that is still starting.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Where a client connects: who listens everywhere is reached over loopback.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    if !listen.ip().is_unspecified() {
        return listen;
    }
    let loopback = match listen {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(loopback, listen.port())
}

/// Returns when requests are served. Nothing is asked of the gateway itself: that would be a request in its log and in
/// its metrics. Envoy is ready only with a filter that took its configuration, and ends without one.
pub(super) async fn answers(listen: SocketAddr, admin: SocketAddr) {
    let (gateway, admin) = (reachable(listen), reachable(admin));
    while !matches!(timeout(ANSWER_WITHIN, ready(admin)).await, Ok(Ok(200)))
        || !matches!(
            timeout(ANSWER_WITHIN, TcpStream::connect(gateway)).await,
            Ok(Ok(_))
        )
    {
        sleep(ASK_AGAIN_AFTER).await;
    }
}

/// The status of Envoy's own word on whether it is ready.
async fn ready(admin: SocketAddr) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET /ready HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = [0; STATUS_LINE_BYTES];
    stream.read_exact(&mut line).await?;
    let line = String::from_utf8_lossy(&line);
    let code = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(code.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_reached_over_loopback() {
        for (listen, want) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.7:80", "192.0.2.7:80"),
        ] {
            let reached = reachable(listen.parse().unwrap());
            assert_eq!(reached.to_string(), want);
        }
    }
}
