//! What happens in the shop, and when: planned ahead, an order at a time, with a fault now and then. Without I/O.
//!
//! ```text
//! accepted ─▶ stored ─▶ announced ─▶ captured ─▶ shipped ─▶ delivered
//!  API's log   table      topic    │  topic       warehouse's log
//!                                  └▶ declined
//! ```
//!
//! All times are planned, and what is written carries the planned time: a machine that is slow for a moment makes things
//! visible late, and none of them wrong.

use crate::model::time::{Span, Time};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// The deadlines of the flow that faults are to miss.
const SETTLED_WITHIN: i64 = 3_000;
const SHIPPED_WITHIN: i64 = 3_000;
/// Nothing comes as close to a deadline as this, from either side.
const MARGIN: i64 = 800;
/// Orders before the first fault, and from one fault to the next.
const ORDERS_BEFORE: u64 = 20;
const ORDERS_BETWEEN: u64 = 12;
/// How often the warehouse stands still, and for how long, in milliseconds.
const HALTS_EVERY: i64 = 25_000;
const HALTS_FOR: i64 = 5_000;

/// What is broken on purpose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// The API said yes, and nothing was written.
    WriteLost,
    /// The row is there, and its message was never sent.
    MessageDropped,
    /// The payment comes after its deadline.
    PaymentDelayed,
    /// The payment was taken twice.
    CapturedTwice,
    /// Another amount was taken.
    WrongAmount,
    /// Shipped, though the payment was declined.
    ShippedUnpaid,
    /// The warehouse stood still, and the parcel left late.
    WarehouseHalted,
    /// The parcel never arrived.
    ParcelLost,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 8] = [
        Fault::WriteLost,
        Fault::MessageDropped,
        Fault::PaymentDelayed,
        Fault::CapturedTwice,
        Fault::WrongAmount,
        Fault::ShippedUnpaid,
        Fault::WarehouseHalted,
        Fault::ParcelLost,
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Fault::WriteLost => "a write is lost after the API said yes",
            Fault::MessageDropped => "a message is dropped",
            Fault::PaymentDelayed => "a payment is delayed",
            Fault::CapturedTwice => "a payment is captured twice",
            Fault::WrongAmount => "a wrong amount is captured",
            Fault::ShippedUnpaid => "an order is shipped unpaid",
            Fault::WarehouseHalted => "the warehouse stands still",
            Fault::ParcelLost => "a parcel is lost",
        }
    }

    /// The check that it breaks, and the class of the finding.
    pub fn finding(self) -> (&'static str, &'static str) {
        match self {
            Fault::WriteLost => ("stored", "missing_step"),
            Fault::MessageDropped => ("announced", "lost_message"),
            Fault::PaymentDelayed => ("settled", "late"),
            Fault::CapturedTwice => ("paid-once", "duplicate"),
            Fault::WrongAmount => ("amount", "mismatch"),
            Fault::ShippedUnpaid => ("unpaid", "forbidden_step"),
            Fault::WarehouseHalted => ("shipped", "late"),
            Fault::ParcelLost => ("delivered", "missing_step"),
        }
    }
}

/// What is done to a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The API logs that it has accepted the order.
    Accept { amount: i64 },
    /// The order's row is inserted.
    Store { amount: i64 },
    /// The order's row has another status.
    Update { status: &'static str },
    /// The message that the order was placed.
    Announce { amount: i64 },
    /// The message that a payment was captured.
    Capture { payment: String, amount: i64 },
    /// The message that the payment was declined.
    Decline,
    /// The warehouse logs that a parcel has left.
    Ship { parcel: String },
    /// The warehouse logs that it has arrived.
    Deliver { parcel: String },
    /// Nothing is done: the place of what should have been.
    Omit,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// When, as it is stamped.
    pub at: Time,
    /// To which order.
    pub order: String,
    /// What.
    pub deed: Deed,
    /// What it breaks.
    pub fault: Option<Fault>,
}

/// The shop.
pub struct Shop {
    /// From one order to the next.
    pause: Span,
    opened: Time,
    first: u64,
    next_order: Time,
    count: u64,
    faults: usize,
    open: bool,
    /// By time, then by number, so that what was planned first comes first.
    planned: BinaryHeap<Reverse<(Time, u64)>>,
    acts: HashMap<u64, Act>,
    numbers: u64,
    random: fastrand::Rng,
}

impl Shop {
    /// Opens with so many orders a second, which are numbered from one on.
    pub fn new(rate: u32, first: u64, now: Time) -> Shop {
        let opened = now + Span(200_000_000);
        Shop {
            pause: Span(1_000_000_000 / i64::from(rate.max(1))),
            opened,
            first,
            next_order: opened,
            count: 0,
            faults: 0,
            open: true,
            planned: BinaryHeap::new(),
            acts: HashMap::new(),
            numbers: 0,
            random: fastrand::Rng::with_seed(7),
        }
    }

    /// Whether it takes orders.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Takes no more orders.
    pub fn close(&mut self) {
        self.open = false;
    }

    /// Whether nothing more will happen.
    pub fn is_quiet(&self) -> bool {
        self.planned.is_empty()
    }

    /// How many orders there were.
    pub fn orders(&self) -> u64 {
        self.count
    }

    /// What has happened by now, in its order.
    pub fn due(&mut self, now: Time) -> Vec<Act> {
        while self.open && self.next_order <= now {
            let at = self.next_order;
            self.next_order = at + self.pause;
            self.plan(at);
        }
        let mut due = Vec::new();
        while let Some(Reverse((at, number))) = self.planned.peek().copied()
            && at <= now
        {
            self.planned.pop();
            due.extend(self.acts.remove(&number));
        }
        due
    }

    /// Plans the life of an order that is accepted at a moment.
    fn plan(&mut self, accepted: Time) {
        self.count += 1;
        let mut order = Life::new(self, accepted);
        let fault = order.shop.next_fault();
        order.run(fault);
    }

    /// The fault of the order that was counted last, if it is its turn.
    fn next_fault(&mut self) -> Option<Fault> {
        // The warehouse halts by the clock.
        const IN_TURN: [Fault; 7] = [
            Fault::MessageDropped,
            Fault::CapturedTwice,
            Fault::WriteLost,
            Fault::ShippedUnpaid,
            Fault::PaymentDelayed,
            Fault::WrongAmount,
            Fault::ParcelLost,
        ];
        if self.count <= ORDERS_BEFORE || !(self.count - ORDERS_BEFORE).is_multiple_of(ORDERS_BETWEEN) {
            return None;
        }
        self.faults += 1;
        Some(IN_TURN[(self.faults - 1) % IN_TURN.len()])
    }

    /// When a parcel leaves that could leave at a moment and was paid for at another, and whether that is too late.
    fn leaves(&mut self, ready: Time, paid: Time) -> (Time, bool) {
        let since = ready.since(self.opened).as_millis();
        let into = since % HALTS_EVERY - (HALTS_EVERY - HALTS_FOR);
        if into < 0 {
            return (ready, false);
        }
        let again = ready + millis(HALTS_FOR - into + self.random.i64(0..300));
        let waited = again.since(paid).as_millis();
        match waited {
            _ if waited <= SHIPPED_WITHIN - MARGIN => (again, false),
            _ => (again.max(paid + millis(SHIPPED_WITHIN + MARGIN)), true),
        }
    }
}

/// An order that is being planned.
struct Life<'s> {
    shop: &'s mut Shop,
    id: String,
    at: Time,
    amount: i64,
}

impl Life<'_> {
    fn new(shop: &mut Shop, accepted: Time) -> Life<'_> {
        let id = format!("o-{}", shop.first + shop.count);
        let amount = shop.random.i64(500..50_000);
        Life { shop, id, at: accepted, amount }
    }

    fn run(&mut self, fault: Option<Fault>) {
        let amount = self.amount;
        self.act(Deed::Accept { amount }, None);
        self.later(20..80);
        if fault == Some(Fault::WriteLost) {
            return self.act(Deed::Omit, fault);
        }
        self.act(Deed::Store { amount }, None);
        self.later(50..300);
        if fault == Some(Fault::MessageDropped) {
            return self.act(Deed::Omit, fault);
        }
        self.act(Deed::Announce { amount }, None);
        let announced = self.at;
        self.later(300..1_500);
        let unpaid = fault == Some(Fault::ShippedUnpaid);
        if unpaid || (fault.is_none() && self.shop.random.u8(0..20) == 0) {
            self.act(Deed::Decline, None);
            self.update("declined");
            if unpaid {
                self.later(300..900);
                self.ship(fault, self.at, false);
            }
            return;
        }
        if fault == Some(Fault::PaymentDelayed) {
            self.at = announced + millis(SETTLED_WITHIN + MARGIN + self.shop.random.i64(0..1_000));
        }
        self.capture(fault);
        let paid = self.at;
        self.update("paid");
        self.later(300..1_500);
        let (leaves, late) = self.shop.leaves(self.at, paid);
        self.at = leaves;
        self.ship(if late { Some(Fault::WarehouseHalted) } else { None }, leaves, fault == Some(Fault::ParcelLost));
    }

    fn capture(&mut self, fault: Option<Fault>) {
        let payment = format!("p-{}", &self.id[2..]);
        let amount = if fault == Some(Fault::WrongAmount) { self.amount + 100 } else { self.amount };
        let here = matches!(fault, Some(Fault::PaymentDelayed | Fault::WrongAmount)).then_some(fault).flatten();
        self.act(Deed::Capture { payment: payment.clone(), amount }, here);
        if fault == Some(Fault::CapturedTwice) {
            self.act(Deed::Capture { payment: payment + "-again", amount }, fault);
        }
    }

    fn ship(&mut self, fault: Option<Fault>, leaves: Time, lost: bool) {
        let parcel = format!("c-{}", &self.id[2..]);
        self.at = leaves;
        self.act(Deed::Ship { parcel: parcel.clone() }, fault);
        self.update("shipped");
        self.later(400..2_000);
        let (deed, fault) = if lost { (Deed::Omit, Some(Fault::ParcelLost)) } else { (Deed::Deliver { parcel }, None) };
        self.act(deed, fault);
    }

    /// The row follows a little later.
    fn update(&mut self, status: &'static str) {
        let at = self.at;
        self.later(10..60);
        self.act(Deed::Update { status }, None);
        self.at = at;
    }

    fn later(&mut self, within: std::ops::Range<i64>) {
        self.at = self.at + millis(self.shop.random.i64(within));
    }

    fn act(&mut self, deed: Deed, fault: Option<Fault>) {
        let number = self.shop.numbers;
        self.shop.numbers += 1;
        self.shop.acts.insert(number, Act { at: self.at, order: self.id.clone(), deed, fault });
        self.shop.planned.push(Reverse((self.at, number)));
    }
}

fn millis(count: i64) -> Span {
    Span(count * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(seconds: i64) -> Vec<Act> {
        let begin = Time(1_000_000_000_000_000_000);
        let mut shop = Shop::new(20, 10_000, begin);
        let mut acts = shop.due(begin + Span::seconds(seconds));
        shop.close();
        acts.extend(shop.due(begin + Span::seconds(seconds + 60)));
        assert!(shop.is_quiet() && shop.orders() > 0);
        acts
    }

    #[test]
    fn every_fault_has_its_turn_and_orders_have_one_at_most() {
        let acts = day(60);
        let mut seen: Vec<(Fault, &str)> =
            acts.iter().filter_map(|act| Some((act.fault?, act.order.as_str()))).collect();
        for fault in Fault::ALL {
            assert!(seen.iter().any(|(seen, _)| *seen == fault), "{fault:?}");
        }
        seen.retain(|(fault, _)| *fault != Fault::WarehouseHalted);
        let orders: std::collections::BTreeSet<&str> = seen.iter().map(|(_, order)| *order).collect();
        assert_eq!(orders.len(), seen.len());
    }

    #[test]
    fn nothing_comes_close_to_a_deadline() {
        let acts = day(120);
        let at = |order: &str, wanted: fn(&Deed) -> bool| {
            acts.iter().find(|act| act.order == order && wanted(&act.deed)).map(|act| act.at)
        };
        let mut late = 0;
        for shipped in acts.iter().filter(|act| matches!(act.deed, Deed::Ship { .. })) {
            let Some(paid) = at(&shipped.order, |deed| matches!(deed, Deed::Capture { .. })) else { continue };
            let waited = shipped.at.since(paid).as_millis();
            let is_late = shipped.fault == Some(Fault::WarehouseHalted);
            late += u64::from(is_late);
            let far = if is_late { waited >= SHIPPED_WITHIN + MARGIN } else { waited <= SHIPPED_WITHIN - MARGIN };
            assert!(far, "{shipped:?} waited {waited} ms");
        }
        assert!(late > 10, "the warehouse stood still: {late}");
    }
}
