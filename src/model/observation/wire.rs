//! A batch as bytes, small: what one observation has in common with the one before it is not said again.
//!
//! ```text
//! how many │ flow  step  time⁻  part  offset⁻  element  how many keys │ name  length  value … │ length  body │ …
//! ```
//!
//! All numbers are LEB128; those marked ⁻ are differences to the observation before, in zigzag. A key's hash is made anew.

use super::{Batch, Entry, KeyRef, Position};
use crate::model::key;
use crate::model::time::Time;
use crate::model::value::put_varint;

impl Batch {
    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(16 * self.entries.len() + 2 * self.keys.len() + self.bytes.len());
        put_varint(out, self.entries.len() as u64);
        let (mut time, mut offset) = (0, 0);
        for entry in &self.entries {
            let Position { part, offset: at, element } = entry.position;
            put_varint(out, entry.flow.into());
            put_varint(out, entry.step.into());
            put_varint(out, zigzag(entry.time.0.wrapping_sub(time)));
            put_varint(out, part.into());
            put_varint(out, zigzag(at.wrapping_sub(offset) as i64));
            put_varint(out, element.into());
            put_varint(out, entry.keys_count.into());
            for key in self.keys(entry) {
                out.push(key.name);
                put_counted(out, self.packed(key));
            }
            put_counted(out, self.body(entry));
            (time, offset) = (entry.time.0, at);
        }
    }

    /// What [`Batch::encode`] wrote, from the front of `bytes`; `None` where it is something else.
    pub fn decode(bytes: &mut &[u8]) -> Option<Batch> {
        let mut batch = Batch::default();
        let count = take_varint(bytes)?;
        let (mut time, mut offset) = (0_i64, 0_u64);
        for _ in 0..count {
            let flow = take_number(bytes)?;
            let step = take_number(bytes)?;
            time = time.wrapping_add(unzigzag(take_varint(bytes)?));
            let part = take_number(bytes)?;
            offset = offset.wrapping_add(unzigzag(take_varint(bytes)?) as u64);
            let element = take_number(bytes)?;
            let keys_at = batch.keys.len() as u32;
            let keys_count: u32 = take_number(bytes)?;
            for _ in 0..keys_count {
                let name = *bytes.split_off_first()?;
                let packed = take_counted(bytes)?;
                let at = batch.bytes.len() as u32;
                batch.bytes.extend_from_slice(packed);
                let hash = key::hash(flow, name, packed);
                batch.keys.push(KeyRef { hash, name, at, length: packed.len() as u32 });
            }
            let body = take_counted(bytes)?;
            let body_at = batch.bytes.len() as u32;
            batch.bytes.extend_from_slice(body);
            batch.entries.push(Entry {
                flow,
                step,
                time: Time(time),
                position: Position { part, offset, element },
                keys_at,
                keys_count,
                body_at,
                body_length: body.len() as u32,
            });
        }
        Some(batch)
    }
}

fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63) as u64
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

fn put_counted(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn take_counted<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_number(bytes)?;
    bytes.split_off(..length)
}

fn take_number<N: TryFrom<u64>>(bytes: &mut &[u8]) -> Option<N> {
    N::try_from(take_varint(bytes)?).ok()
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let (mut n, mut shift) = (0, 0);
    loop {
        let byte = *bytes.split_off_first()?;
        n |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(n);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Dedupe;
    use super::*;
    use crate::model::value::Value;
    use proptest::prelude::*;

    /// Flow, step, time, position, keys.
    type Given = (u16, u8, i64, (u32, u64, u32), Vec<String>);

    fn batch(observations: &[Given]) -> Batch {
        let mut batch = Batch::default();
        for (flow, step, time, (part, offset, element), keys) in observations {
            let position = Position { part: *part, offset: *offset, element: *element };
            let mut draft = batch.begin(*flow, (*step).into(), Time(*time), position);
            keys.iter().enumerate().for_each(|(name, text)| _ = draft.key(name as u8, text));
            draft.body(if keys.is_empty() { Dedupe::Position } else { Dedupe::Key(0) });
            draft.field(&Value::Int(*time));
            draft.finish();
        }
        batch
    }

    proptest! {
        #[test]
        fn a_batch_is_read_as_it_was_written(
            observations in prop::collection::vec(
                (any::<u16>(), any::<u8>(), any::<i64>(), any::<(u32, u64, u32)>(), prop::collection::vec(".{0,20}", 0..4)),
                0..20,
            ),
            cut in any::<prop::sample::Index>(),
        ) {
            let batch = batch(&observations);
            let mut bytes = Vec::new();
            batch.encode(&mut bytes);
            let read = Batch::decode(&mut &bytes[..]).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{batch:?}"));
            prop_assert!(Batch::decode(&mut &bytes[..cut.index(bytes.len())]).is_none());
        }

        #[test]
        fn whatever_is_no_batch_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Batch::decode(&mut &bytes[..]);
        }
    }
}
