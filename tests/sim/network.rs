//! Messages on their way: lost, doubled, late, and stopped by partitions that may be open in one direction.

use std::collections::BTreeMap;

use crate::random::Random;
use crate::settings::Faults;

pub(crate) struct Network<Message> {
    faults: Faults,
    on_the_way: BTreeMap<(u64, u64), (usize, Message)>,
    sent: u64,
    /// Until when nothing of, or to, a proxy passes.
    cut_until: Vec<u64>,
}

impl<Message: Clone> Network<Message> {
    pub(crate) fn new(faults: Faults, proxies: usize) -> Self {
        Self {
            faults,
            on_the_way: BTreeMap::new(),
            sent: 0,
            cut_until: vec![0; proxies],
        }
    }

    pub(crate) fn send(&mut self, random: &mut Random, tick: u64, proxy: usize, message: Message) {
        if random.happens(self.faults.drop) || self.cut_until[proxy] > tick {
            return;
        }
        if random.happens(self.faults.duplicate) {
            let late = tick + random.within(1..4 * self.faults.delay_ticks + 2);
            self.deliver_at(late, proxy, message.clone());
        }
        let due = tick + random.within(1..self.faults.delay_ticks + 2);
        self.deliver_at(due, proxy, message);
    }

    /// The messages that arrive now.
    pub(crate) fn arrived(&mut self, tick: u64) -> Vec<(usize, Message)> {
        let later = self.on_the_way.split_off(&(tick + 1, 0));
        let due = std::mem::replace(&mut self.on_the_way, later);
        let open = |(proxy, _): &(usize, Message)| self.cut_until[*proxy] <= tick;
        due.into_values().filter(open).collect()
    }

    pub(crate) fn cut(&mut self, proxy: usize, until: u64) {
        self.cut_until[proxy] = until;
    }

    /// From now on nothing is lost.
    pub(crate) fn heal(&mut self) {
        self.faults = Faults::default();
        self.cut_until.fill(0);
    }

    fn deliver_at(&mut self, tick: u64, proxy: usize, message: Message) {
        self.sent += 1;
        self.on_the_way.insert((tick, self.sent), (proxy, message));
    }
}
