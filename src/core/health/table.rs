//! The rows of all deployments, as one value: a request reads the health of all its candidates at once.

use std::collections::BTreeMap;

use super::DeploymentId;
use super::row::{Cursor, ROW_BYTES, Row};

/// In front of the rows; another version of the filter may have left another form.
const MAGIC: &[u8; 8] = b"tg-hlth1";

const ENTRY_BYTES: usize = 8 + ROW_BYTES;

/// More deployments than this have no health.
const ROWS_MAX: usize = 1_024;

/// A deployment that nobody asked for so long is forgotten when room is needed.
const FORGOTTEN_AFTER_MS: u64 = 86_400_000;

/// All rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    rows: BTreeMap<DeploymentId, Row>,
}

impl Table {
    /// Of the value in shared data. What cannot be read is no health at all: everything is well then.
    pub fn read(bytes: &[u8]) -> Self {
        let rows = bytes.strip_prefix(MAGIC).unwrap_or_default();
        let rows = rows.chunks_exact(ENTRY_BYTES).filter_map(|entry| {
            let mut cursor = Cursor(entry);
            let id = DeploymentId(cursor.u64()?);
            Some((id, Row::read(cursor.0)?))
        });
        Self {
            rows: rows.collect(),
        }
    }

    /// For shared data.
    pub fn bytes(&self) -> Vec<u8> {
        let size = ENTRY_BYTES.saturating_mul(self.rows.len());
        let mut bytes = Vec::with_capacity(MAGIC.len().saturating_add(size));
        bytes.extend(MAGIC);
        for (id, row) in &self.rows {
            bytes.extend(id.0.to_le_bytes());
            bytes.extend(row.bytes());
        }
        bytes
    }

    /// How a deployment is; one that nobody has heard of is well.
    pub fn row(&self, id: DeploymentId) -> Row {
        self.rows.get(&id).copied().unwrap_or_default()
    }

    /// Changes a row, or begins one.
    pub fn set(&mut self, id: DeploymentId, row: Row, now_ms: u64) {
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&id) {
            let since = now_ms.saturating_sub(FORGOTTEN_AFTER_MS);
            self.rows.retain(|_, row| row.touched_ms >= since);
            if self.rows.len() >= ROWS_MAX {
                return;
            }
        }
        self.rows.insert(id, row);
    }
}
