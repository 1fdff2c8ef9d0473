//! A shop that takes orders through all systems, and breaks some.

use super::Findings;
use super::systems::Systems;
use std::thread;
use std::time::{Duration, Instant};

/// What can go wrong with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The gateway said yes, and the row was never written.
    NotStored,
    /// The cache was never told.
    NotCached,
    /// The cache was told another amount.
    CachedWrong,
    /// The message to the payment service was lost.
    NotAnnounced,
    /// It was sent twice.
    AnnouncedTwice,
    /// The payment came too late.
    ChargedLate,
    /// The customer paid twice.
    ChargedTwice,
    /// The customer paid another amount.
    ChargedWrong,
    /// The payment was declined, and it was shipped all the same.
    ShippedUnpaid,
    /// The order to the warehouse was lost.
    NotShipped,
    /// The parcel was never registered.
    NotPacked,
}

use Fault::*;

impl Fault {
    const ALL: [Fault; 11] = [
        NotStored,
        NotCached,
        CachedWrong,
        NotAnnounced,
        AnnouncedTwice,
        ChargedLate,
        ChargedTwice,
        ChargedWrong,
        ShippedUnpaid,
        NotShipped,
        NotPacked,
    ];

    /// Each in its turn.
    pub fn nth(number: u64) -> Fault {
        Fault::ALL[number as usize % Fault::ALL.len()]
    }

    /// What is to be found: the check, and class and status.
    fn found(self) -> (&'static str, &'static str) {
        match self {
            NotStored => ("stored", "missing_step open"),
            NotCached => ("cached", "missing_step open"),
            CachedWrong => ("cache", "mismatch open"),
            NotAnnounced => ("announced", "lost_message open"),
            AnnouncedTwice => ("announced-once", "duplicate open"),
            ChargedLate => ("settled", "late healed"),
            ChargedTwice => ("charged-once", "duplicate open"),
            ChargedWrong => ("amount", "mismatch open"),
            ShippedUnpaid => ("unpaid", "forbidden_step open"),
            NotShipped => ("shipped", "lost_message open"),
            NotPacked => ("packed", "lost_message open"),
        }
    }
}

/// How late a payment is that comes too late.
const LATE: Duration = Duration::from_millis(4_500);

/// The shop: what it did, and what it did wrong.
pub struct Shop {
    next: u64,
    broken: Findings,
    /// Payments that are yet to come, each with its moment.
    late: Vec<(Instant, String, u64)>,
}

impl Shop {
    pub fn new(_: &Systems) -> Shop {
        Shop { next: 0, broken: Findings::new(), late: Vec::new() }
    }

    /// What must have been found.
    pub fn broken(&self) -> &Findings {
        &self.broken
    }

    /// What was broken with an order is not to be found.
    pub fn forgive(&mut self, order: &str) {
        self.broken.retain(|(_, broken), _| broken != order);
    }

    /// Takes an order through all systems, as far as it comes.
    pub fn order(&mut self, systems: &Systems, fault: Option<Fault>) -> String {
        let number = self.next;
        self.next += 1;
        let (order, amount) = (format!("o-{number}"), 1_000 + number);
        if let Some((check, word)) = fault.map(Fault::found) {
            self.broken.insert((check.to_owned(), order.clone()), word.to_owned());
        }
        self.pay_late(systems);
        let is = |kind: Fault| fault == Some(kind);
        systems.accept(&order);
        if is(NotStored) {
            return order;
        }
        systems.store(&order, amount);
        if !is(NotCached) {
            systems.cache(&order, if is(CachedWrong) { amount + 1 } else { amount });
        }
        if is(NotAnnounced) {
            return order;
        }
        (0..if is(AnnouncedTwice) { 2 } else { 1 }).for_each(|_| systems.announce(&order));
        if is(ChargedLate) {
            self.late.push((Instant::now() + LATE, order.clone(), amount));
            return order;
        }
        let payment = format!("p-{number}");
        if is(ShippedUnpaid) {
            systems.span("decline", &order, &payment, amount);
            // What is forbidden afterwards must be so by the clocks of both.
            thread::sleep(Duration::from_secs(1));
        } else {
            systems.span("charge", &order, &payment, if is(ChargedWrong) { amount + 1 } else { amount });
        }
        if is(ChargedTwice) {
            systems.span("charge", &order, &format!("{payment}-again"), amount);
        }
        self.deliver(systems, &order, fault);
        order
    }

    /// What follows a payment.
    fn deliver(&self, systems: &Systems, order: &str, fault: Option<Fault>) {
        let number = order.trim_start_matches("o-");
        if fault == Some(NotShipped) {
            return;
        }
        systems.ship(&format!("p-{number}"), &format!("c-{number}"));
        if fault != Some(NotPacked) {
            systems.pack(&format!("c-{number}"));
        }
    }

    fn pay_late(&mut self, systems: &Systems) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, ..)| *at <= now);
        self.late = later;
        let due: Vec<(Instant, String, u64)> = due;
        for (_, order, amount) in due {
            systems.span("charge", &order, &format!("p-{}", order.trim_start_matches("o-")), amount);
            self.deliver(systems, &order, None);
        }
    }

    /// Waits for what is yet to come.
    pub fn finish(&mut self, systems: &Systems) {
        while !self.late.is_empty() {
            thread::sleep(Duration::from_millis(100));
            self.pay_late(systems);
        }
    }
}
