//! The border to Envoy: the only file that names host calls.
//!
//! There is no SDK in between: its wrappers panic on statuses that real Envoy returns (a header map that is gone, a
//! cluster that is unknown), and one panic kills the VM of a worker for everybody. Here every call says whether it
//! worked, and what comes back is bytes, since headers need not be UTF-8.
#![allow(
    unsafe_code,
    reason = "host calls pass pointers; everything else is safe"
)]

use std::ptr;

use crate::abi;

pub(crate) mod call;
pub(crate) mod shared;

use tollgate_core::head::Head;
use tollgate_core::metrics::Kind;
use tollgate_core::units::Timestamp;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *const u8,
        data_size: usize,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_get_current_time_nanoseconds(now: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_close_stream(stream: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

/// A host call that did not work. There is nothing in it that could help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

type Result<T> = std::result::Result<T, Failed>;

fn done(status: u32) -> Result<()> {
    if status == abi::OK {
        Ok(())
    } else {
        Err(Failed)
    }
}

/// Takes over what the host put into our memory.
fn taken(status: u32, data: *mut u8, size: usize) -> Result<Vec<u8>> {
    done(status)?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the host allocated exactly `size` bytes by our `malloc`, which hands out a boxed
    // slice of that length, and filled all of them.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// Which header map.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Headers {
    Request,
    Reply,
}

impl Headers {
    fn id(self) -> u32 {
        match self {
            Self::Request => abi::REQUEST_HEADERS,
            Self::Reply => abi::REPLY_HEADERS,
        }
    }

    /// All of them in one call, still in the host's form.
    pub(crate) fn read(self) -> Result<RawHead> {
        let (mut data, mut size) = (ptr::null_mut(), 0);
        // SAFETY: both pointers are valid for writing.
        let status = unsafe { proxy_get_header_map_pairs(self.id(), &raw mut data, &raw mut size) };
        taken(status, data, size).map(RawHead)
    }

    pub(crate) fn get(self, name: &str) -> Option<Vec<u8>> {
        let (mut data, mut size) = (ptr::null_mut(), 0);
        // SAFETY: the name is valid for reading, the rest for writing.
        let status = unsafe {
            proxy_get_header_map_value(
                self.id(),
                name.as_ptr(),
                name.len(),
                &raw mut data,
                &raw mut size,
            )
        };
        taken(status, data, size)
            .ok()
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn set(self, name: &[u8], value: &[u8]) -> Result<()> {
        // SAFETY: name and value are valid for reading.
        done(unsafe {
            proxy_replace_header_map_value(
                self.id(),
                name.as_ptr(),
                name.len(),
                value.as_ptr(),
                value.len(),
            )
        })
    }

    /// Harmless where there is none of that name.
    pub(crate) fn remove(self, name: &[u8]) {
        // SAFETY: the name is valid for reading.
        let _ = unsafe { proxy_remove_header_map_value(self.id(), name.as_ptr(), name.len()) };
    }
}

/// Headers as the host serialises them: the number of pairs, the sizes of names and values, then each
/// name and value followed by a zero byte.
#[derive(Debug, Default)]
pub(crate) struct RawHead(Vec<u8>);

impl RawHead {
    /// What is cut short is left out.
    pub(crate) fn pairs(&self) -> Vec<(&[u8], &[u8])> {
        let number = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).ok();
        let Some((count, rest)) = self.0.split_first_chunk::<4>() else {
            return Vec::new();
        };
        let count = number(count).unwrap_or(0).min(rest.len() / 8);
        let (sizes, mut texts) = rest
            .split_at_checked(count.saturating_mul(8))
            .unwrap_or_default();
        let mut text = |size: &[u8; 4]| {
            let (text, rest) = texts.split_at_checked(number(size)?)?;
            texts = rest.get(1..)?;
            Some(text)
        };
        let (sizes, _) = sizes.as_chunks::<4>();
        let mut pairs = Vec::with_capacity(count);
        pairs.extend(sizes.chunks_exact(2).map_while(|sizes| match sizes {
            [name, value] => Some((text(name)?, text(value)?)),
            _ => None,
        }));
        pairs
    }

    /// Gives `look` the head in the core's form.
    pub(crate) fn with<T>(&self, look: impl FnOnce(Head<'_>) -> T) -> T {
        look(Head(&self.pairs()))
    }
}

/// Which body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bytes {
    Request,
    Reply,
}

impl Bytes {
    fn id(self) -> u32 {
        match self {
            Self::Request => abi::REQUEST_BODY,
            Self::Reply => abi::REPLY_BODY,
        }
    }

    /// What there is of it in this callback.
    pub(crate) fn read(self, size: usize) -> Vec<u8> {
        self.read_at(0, size)
    }

    /// A piece of it.
    pub(crate) fn read_at(self, start: usize, size: usize) -> Vec<u8> {
        if size == 0 {
            return Vec::new();
        }
        read_buffer(self.id(), start, size)
    }

    /// Replaces all of it.
    pub(crate) fn write(self, bytes: &[u8]) -> Result<()> {
        self.write_front(usize::MAX, bytes)
    }

    /// Replaces so many of its first bytes.
    pub(crate) fn write_front(self, front: usize, bytes: &[u8]) -> Result<()> {
        // SAFETY: the bytes are valid for reading.
        done(unsafe { proxy_set_buffer_bytes(self.id(), 0, front, bytes.as_ptr(), bytes.len()) })
    }
}

fn read_buffer(buffer: u32, start: usize, max: usize) -> Vec<u8> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    // SAFETY: both pointers are valid for writing.
    let status =
        unsafe { proxy_get_buffer_bytes(buffer, start, max, &raw mut data, &raw mut size) };
    taken(status, data, size).unwrap_or_default()
}

/// What Envoy's configuration says to this plugin.
pub(crate) fn configuration() -> Vec<u8> {
    read_buffer(abi::PLUGIN_CONFIGURATION, 0, usize::MAX)
}

/// Envoy's own log, for operators.
struct EnvoyLog;

impl log::Log for EnvoyLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = match record.level() {
            log::Level::Trace => abi::TRACE,
            log::Level::Debug => abi::DEBUG,
            log::Level::Info => abi::INFO,
            log::Level::Warn => abi::WARN,
            log::Level::Error => abi::ERROR,
        };
        let message = format!("tollgate: {}", record.args());
        // SAFETY: the message is valid for reading.
        let _ = unsafe { proxy_log(level, message.as_ptr(), message.len()) };
    }

    fn flush(&self) {}
}

/// What is logged from now on stands in Envoy's log.
pub(crate) fn log_to_envoy() {
    // A second time there is nothing left to do.
    if log::set_logger(&EnvoyLog).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
}

/// A property of the request or of Envoy. Path elements are separated by zero bytes.
pub(crate) fn property(path: &str) -> Option<Vec<u8>> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    // SAFETY: the path is valid for reading, the rest for writing.
    let status =
        unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut size) };
    taken(status, data, size).ok()
}

/// Writes filter state: `wasm.<name>` for Envoy's own configuration.
pub(crate) fn set_property(name: &str, value: &[u8]) -> Result<()> {
    // SAFETY: name and value are valid for reading.
    done(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Makes Envoy choose the route again.
pub(crate) fn clear_route_cache() -> Result<()> {
    let name = "clear_route_cache";
    let (mut data, mut size) = (ptr::null_mut(), 0);
    // SAFETY: the name is valid for reading, there is no argument, the rest is valid for writing.
    let status = unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            ptr::null(),
            0,
            &raw mut data,
            &raw mut size,
        )
    };
    taken(status, data, size).map(drop)
}

/// Answers the caller in place of a provider.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<()> {
    let headers = serialised(headers);
    let details = "tollgate";
    // SAFETY: all four are valid for reading.
    done(unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            -1,
        )
    })
}

fn serialised(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let number = |value: usize, bytes: &mut Vec<u8>| {
        bytes.extend_from_slice(&u32::try_from(value).unwrap_or_default().to_le_bytes());
    };
    number(headers.len(), &mut bytes);
    for (name, value) in headers {
        number(name.len(), &mut bytes);
        number(value.len(), &mut bytes);
    }
    for (name, value) in headers {
        for text in [name, value] {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        }
    }
    bytes
}

/// From now on the plugin is called this often, in every worker.
pub(crate) fn tick_every(millis: u32) {
    // SAFETY: there are no pointers.
    let _ = unsafe { proxy_set_tick_period_milliseconds(millis) };
}

/// Breaks off the reply to this request: what the caller has got so far is all there is. Not for the request
/// that is being worked on.
pub(crate) fn break_off(context: u32) {
    // SAFETY: there are no pointers.
    let _ = unsafe {
        proxy_set_effective_context(context);
        proxy_close_stream(abi::REPLY)
    };
}

/// Envoy's clock.
pub(crate) fn now() -> Timestamp {
    let mut now = 0;
    // SAFETY: the pointer is valid for writing.
    let _ = unsafe { proxy_get_current_time_nanoseconds(&raw mut now) };
    Timestamp(now)
}

/// Envoy's id for a series; the same name gives the same id.
pub(crate) fn define(kind: Kind, name: &str) -> Result<u32> {
    let kind = match kind {
        Kind::Counter => abi::COUNTER,
        Kind::Gauge => abi::GAUGE,
        Kind::Histogram => abi::HISTOGRAM,
    };
    let mut id = 0;
    // SAFETY: the name is valid for reading, the id for writing.
    done(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Adds to a counter.
pub(crate) fn increment(id: u32, by: u64) {
    // SAFETY: there are no pointers.
    let _ = unsafe { proxy_increment_metric(id, i64::try_from(by).unwrap_or(i64::MAX)) };
}

/// Moves a gauge up or down. Envoy keeps one for all workers.
pub(crate) fn shift(id: u32, by: i64) {
    // SAFETY: there are no pointers.
    let _ = unsafe { proxy_increment_metric(id, by) };
}

/// Adds a value to a distribution.
pub(crate) fn observe(id: u32, value: u64) {
    // SAFETY: there are no pointers.
    let _ = unsafe { proxy_record_metric(id, value) };
}
