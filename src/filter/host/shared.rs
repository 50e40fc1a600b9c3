//! Data that all workers share. It cannot be deleted, and a key that is not there cannot be created by
//! compare-and-swap: see [`change`].

use std::ptr;

use super::{Failed, Result, done, taken};
use crate::abi;

/// Workers that collide again and again are not left turning for ever.
const TRIES: usize = 1_000;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        data: *const u8,
        size: usize,
        cas: u32,
    ) -> u32;
}

/// A value, and the version it was read at.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) value: Vec<u8>,
    version: u32,
}

/// None where there is nothing under this key.
pub(crate) fn read(key: &str) -> Result<Option<Read>> {
    let (mut data, mut size, mut version) = (ptr::null_mut(), 0, 0);
    // SAFETY: the key is valid for reading, the rest for writing.
    let status = unsafe {
        proxy_get_shared_data(
            key.as_ptr(),
            key.len(),
            &raw mut data,
            &raw mut size,
            &raw mut version,
        )
    };
    if status == abi::NOT_FOUND {
        return Ok(None);
    }
    let value = taken(status, data, size)?;
    Ok(Some(Read { value, version }))
}

/// Writes over whatever is there.
pub(crate) fn write(key: &str, value: &[u8]) -> Result<()> {
    done(set(key, value, 0))
}

/// Whether the value was still of this version, and is the new one now.
pub(crate) fn swap(key: &str, value: &[u8], read: &Read) -> Result<bool> {
    match set(key, value, read.version) {
        abi::CAS_MISMATCH => Ok(false),
        status => done(status).map(|()| true),
    }
}

fn set(key: &str, value: &[u8], version: u32) -> u32 {
    // SAFETY: key and value are valid for reading.
    unsafe {
        proxy_set_shared_data(
            key.as_ptr(),
            key.len(),
            value.as_ptr(),
            value.len(),
            version,
        )
    }
}

/// Changes a value until the change is the next one; `change` gives the new value, or none to leave it, and what it
/// wants to say. A key that is not there yet is created empty first: whoever writes over another's creation writes over
/// what holds nothing yet, as long as nothing of worth is written in the first moments of a key.
pub(crate) fn change<Said>(
    key: &str,
    mut change: impl FnMut(&[u8]) -> (Option<Vec<u8>>, Said),
) -> Result<Said> {
    for _ in 0..TRIES {
        let Some(read) = read(key)? else {
            write(key, &[])?;
            continue;
        };
        let (value, said) = change(&read.value);
        match value {
            Some(value) if !swap(key, &value, &read)? => {}
            Some(_) | None => return Ok(said),
        }
    }
    Err(Failed)
}
