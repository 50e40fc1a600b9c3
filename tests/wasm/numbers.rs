//! The numbers that the filter and Envoy tell each other are those of the SDK, which the filter does without.

use proxy_wasm::types::{Action, BufferType, LogLevel, MapType, MetricType, Status, StreamType};

#[path = "../../src/filter/abi.rs"]
mod abi;

#[test]
fn the_numbers_of_the_interface_are_those_of_the_sdk() {
    for (ours, of_sdk) in [
        (abi::OK, Status::Ok as u32),
        (abi::NOT_FOUND, Status::NotFound as u32),
        (abi::CAS_MISMATCH, Status::CasMismatch as u32),
        (abi::CONTINUE, Action::Continue as u32),
        (abi::PAUSE, Action::Pause as u32),
        (abi::REQUEST_HEADERS, MapType::HttpRequestHeaders as u32),
        (abi::REPLY_HEADERS, MapType::HttpResponseHeaders as u32),
        (abi::REQUEST_BODY, BufferType::HttpRequestBody as u32),
        (abi::REPLY_BODY, BufferType::HttpResponseBody as u32),
        (abi::GRPC_REPLY, BufferType::GrpcReceiveBuffer as u32),
        (
            abi::PLUGIN_CONFIGURATION,
            BufferType::PluginConfiguration as u32,
        ),
        (abi::REQUEST, StreamType::HttpRequest as u32),
        (abi::REPLY, StreamType::HttpResponse as u32),
        (abi::COUNTER, MetricType::Counter as u32),
        (abi::GAUGE, MetricType::Gauge as u32),
        (abi::HISTOGRAM, MetricType::Histogram as u32),
        (abi::TRACE, LogLevel::Trace as u32),
        (abi::DEBUG, LogLevel::Debug as u32),
        (abi::INFO, LogLevel::Info as u32),
        (abi::WARN, LogLevel::Warn as u32),
        (abi::ERROR, LogLevel::Error as u32),
    ] {
        assert_eq!(ours, of_sdk);
    }
}
