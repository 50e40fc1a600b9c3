//! Calls to a gRPC service through one of Envoy's clusters, and streams that go on once an answer is there.

use super::{Result, done, taken};
use crate::abi;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_grpc_call(
        cluster: *const u8,
        cluster_size: usize,
        service: *const u8,
        service_size: usize,
        method: *const u8,
        method_size: usize,
        metadata: *const u8,
        metadata_size: usize,
        message: *const u8,
        message_size: usize,
        timeout_ms: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
}

/// Who a host call is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context(pub(crate) u32);

/// Host calls are made for this context from now on, until the callback is over.
pub(crate) fn act_for(context: Context) {
    // SAFETY: there are no pointers.
    let _ = unsafe { proxy_set_effective_context(context.0) };
}

/// The request that is acted for goes on to the next filter.
pub(crate) fn go_on() {
    // SAFETY: there are no pointers.
    let _ = unsafe { proxy_continue_stream(abi::REQUEST) };
}

/// The reply to the request that is acted for goes on to the caller.
pub(crate) fn let_reply_go() {
    // SAFETY: there are no pointers.
    let _ = unsafe { proxy_continue_stream(abi::REPLY) };
}

/// Sends one message. The answer comes to the context that is acted for, under the token that is returned.
pub(crate) fn grpc(
    cluster: &str,
    service: &str,
    method: &str,
    message: &[u8],
    timeout_ms: u32,
) -> Result<u32> {
    let no_metadata = [0_u8; 4];
    let mut token = 0;
    // SAFETY: all texts are valid for reading, the token for writing.
    done(unsafe {
        proxy_grpc_call(
            cluster.as_ptr(),
            cluster.len(),
            service.as_ptr(),
            service.len(),
            method.as_ptr(),
            method.len(),
            no_metadata.as_ptr(),
            no_metadata.len(),
            message.as_ptr(),
            message.len(),
            timeout_ms,
            &raw mut token,
        )
    })?;
    Ok(token)
}

/// The message that has just come.
pub(crate) fn answer(size: usize) -> Vec<u8> {
    let (mut data, mut read) = (std::ptr::null_mut(), 0);
    // SAFETY: both pointers are valid for writing.
    let status =
        unsafe { proxy_get_buffer_bytes(abi::GRPC_REPLY, 0, size, &raw mut data, &raw mut read) };
    taken(status, data, read).unwrap_or_default()
}
