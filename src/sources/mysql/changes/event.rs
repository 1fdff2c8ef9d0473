//! Events of the log, as far as the library leaves them to us.

use crate::model::time::{Span, Time};
use mysql_async::binlog::events::Event;

/// Kinds of events, by the numbers that both products share;
pub(super) mod kind {
    pub const QUERY: u8 = 2;
    pub const ROTATE: u8 = 4;
    pub const FORMAT: u8 = 15;
    pub const XID: u8 = 16;
    pub const TABLE_MAP: u8 = 19;
    pub const ROWS_V1: std::ops::RangeInclusive<u8> = 23..=25;
    pub const INCIDENT: u8 = 26;
    pub const ROWS: std::ops::RangeInclusive<u8> = 30..=32;
    pub const GTID: u8 = 33;
    pub const ANONYMOUS_GTID: u8 = 34;
    pub const XA_PREPARE: u8 = 38;
    pub const PARTIAL_ROWS: u8 = 39;
    pub const PAYLOAD: u8 = 40;
    pub const TAGGED_GTID: u8 = 42;
    /// and those of MariaDB.
    pub const MARIADB_GTID: u8 = 162;
    pub const COMPRESSED: std::ops::RangeInclusive<u8> = 165..=171;
}
/// Made up by the server for us; it stands nowhere in the log.
pub(super) const ARTIFICIAL: u16 = 0x20;
/// Flags of MariaDB's GTID event: a transaction of XA that is prepared.
pub(super) const PREPARED_XA: u8 = 64;

/// What an event says. The very first ones come before the library knows that the server adds a checksum to each, which
/// it then takes for a part of the event.
pub(super) fn without_checksum(event: &Event) -> &[u8] {
    let (header, data) = (event.header(), event.data());
    let Some((body, checksum)) = data.split_last_chunk::<4>() else { return data };
    let mut crc = flate2::Crc::new();
    crc.update(&header.timestamp().to_le_bytes());
    crc.update(&[header.event_type_raw()]);
    for number in [header.server_id(), header.event_size(), header.log_pos()] {
        crc.update(&number.to_le_bytes());
    }
    crc.update(&header.flags_raw().to_le_bytes());
    crc.update(body);
    if crc.sum() == u32::from_le_bytes(*checksum) { body } else { data }
}

pub(super) fn seconds(timestamp: u32) -> Time {
    Time(0) + Span::seconds(timestamp.into())
}
