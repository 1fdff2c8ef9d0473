//! Limits of everything that grows in the engine. Each that is hit is counted under its name in the
//! flow's account, and what it touches becomes `undecided(limit)`.

/// Transactions in memory; past it the one that is due next is closed undecided.
pub(super) const TRANSACTIONS_OPEN_MAX: usize = 100_000_000;
/// Bytes of one transaction's history.
pub(super) const HISTORY_BYTES_MAX: u32 = 1 << 20;
/// Keys bound to one transaction.
pub(super) const KEYS_PER_TRANSACTION_MAX: u16 = 10_000;
/// Transactions to which one key is bound.
pub(super) const TRANSACTIONS_PER_KEY_MAX: usize = 10_000;
/// Observations that wait for a binding.
pub(super) const PARKED_MAX: usize = 5_000_000;
/// Observations of one step that joined nothing and whose binder may have been missed.
pub(super) const STRAYS_MAX: usize = 5_000_000;
/// Runs of one schedule that due times which are not judged yet may need.
pub(super) const RUN_TIMES_MAX: usize = 1_000_000;
/// Separate gaps of one source; past it they are merged with what lies between.
pub(super) const GAPS_MAX: usize = 100_000;

/// Observations that joined nothing, kept as samples of their step.
pub(super) const UNATTACHED_SAMPLES_MAX: usize = 5;

/// A limit, by the name that the account shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Limit {
    TransactionsOpen,
    HistoryBytes,
    KeysPerTransaction,
    TransactionsPerKey,
    Parked,
    Strays,
    RunTimes,
    Gaps,
}

impl Limit {
    pub fn name(self) -> &'static str {
        match self {
            Limit::TransactionsOpen => "transactions_open_max",
            Limit::HistoryBytes => "history_bytes_max",
            Limit::KeysPerTransaction => "keys_per_transaction_max",
            Limit::TransactionsPerKey => "transactions_per_key_max",
            Limit::Parked => "parked_max",
            Limit::Strays => "strays_max",
            Limit::RunTimes => "run_times_max",
            Limit::Gaps => "gaps_max",
        }
    }
}
