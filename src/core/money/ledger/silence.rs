//! Holders that fall silent.
//!
//! Silence proves nothing: the provider may have been paid a moment before. So a silent holder keeps its leases, first as
//! suspect, then with what is left of them presumed spent, until it speaks or somebody reconciles.

use super::evidence;
use super::rows::{Holder, HolderStanding};
use super::status;
use super::view::{Changes, Draft, View};
use crate::money::ids::{Incarnation, LeaseId};
use crate::money::message::Refusal;
use crate::units::Timestamp;

/// How long silence is borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A holder that is silent for this long is suspect.
    pub suspect_after_ms: u64,
    /// After this its leases are presumed spent.
    pub presume_after_ms: u64,
}

/// What to believe of a holder now. `listening_since` is when the service began to listen: its own absence is nobody's silence.
pub fn judge(
    holder: &Holder,
    patience: Patience,
    listening_since: Timestamp,
    now: Timestamp,
) -> HolderStanding {
    let silent_ms = now.millis_since(holder.heard_at.max(listening_since));
    if holder.standing == HolderStanding::Presumed || silent_ms >= patience.presume_after_ms {
        HolderStanding::Presumed
    } else if silent_ms >= patience.suspect_after_ms {
        HolderStanding::Suspect
    } else {
        HolderStanding::Alive
    }
}

/// Writes down what is believed of a holder. If it is believed dead, the rest of each of its leases counts as spent: the
/// view must hold them all.
pub fn presume(
    view: &View,
    incarnation: Incarnation,
    standing: HolderStanding,
) -> Result<Changes, Refusal> {
    let holder = view.holders.get(&incarnation);
    let holder = *holder.ok_or(Refusal::UnknownHolder)?;
    let mut draft = Draft::new(view);
    let judged = Holder { standing, ..holder };
    draft.changes.holders.insert(incarnation, judged);
    if standing == HolderStanding::Presumed {
        let leases = view.leases.iter();
        let own = leases.filter(|(_, lease)| lease.incarnation == incarnation);
        let ids: Vec<LeaseId> = own.map(|(id, _)| *id).collect();
        for id in ids {
            evidence::presume(&mut draft, id)?;
        }
        status::announce(&mut draft)?;
    }
    Ok(draft.changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_judged_by_how_long_somebody_listened() {
        use HolderStanding::{Alive, Presumed, Suspect};
        let patience = Patience {
            suspect_after_ms: 10_000,
            presume_after_ms: 60_000,
        };
        let second = |second: u64| Timestamp(second * 1_000_000_000);
        // Heard at 100 s: (believed before, listening since, now) -> believed now.
        for (standing, since, now, want) in [
            (Alive, 0, 109, Alive),
            (Alive, 0, 110, Suspect),
            (Suspect, 0, 159, Suspect),
            (Suspect, 0, 160, Presumed),
            (Alive, 0, 1_000, Presumed),
            // The service was away itself.
            (Alive, 995, 1_000, Alive),
            (Suspect, 985, 1_000, Suspect),
            // Only evidence ends a presumption, and a clock that stepped back says nothing.
            (Presumed, 0, 101, Presumed),
            (Alive, 0, 50, Alive),
        ] {
            let holder = Holder {
                joined_at: second(0),
                heard_at: second(100),
                standing,
            };
            let judged = judge(&holder, patience, second(since), second(now));
            assert_eq!(judged, want, "{standing:?} at {now}");
        }
    }
}
