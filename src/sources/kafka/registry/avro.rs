//! Avro to JSON, in one pass over the bytes.
//!
//! A union is the value that it holds. Decimals, dates and times are text as people write them; bytes are base64.

use super::JSON_MAX_BYTES;
use crate::model::time::Time;
use crate::sources::base64;
use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, Name, RecordSchema, Schema as Avro, UuidSchema};
use std::collections::HashMap;
use std::io::Write;

/// Values stand within values, so deep at most.
const DEPTH_MAX: usize = 128;

pub(super) struct Schema {
    root: Avro,
    /// Types by their full names.
    names: HashMap<String, Avro>,
}

impl Schema {
    /// What is referred to must stand before what refers to it.
    pub fn new(text: &str, references: &[(String, String)]) -> Result<Schema, String> {
        let wrong = |error: apache_avro::Error| format!("it cannot be read: {error}");
        let (root, known) = Avro::parse_str_with_list(text, references.iter().map(|(_, text)| text)).map_err(wrong)?;
        let mut names = HashMap::new();
        known.iter().for_each(|schema| collect(schema, None, &mut names));
        collect(&root, None, &mut names);
        Ok(Schema { root, names })
    }

    pub fn decode(&self, data: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let limit = out.len() + JSON_MAX_BYTES;
        let mut reader = Reader { schema: self, data, out, limit, depth: 0 };
        reader.value(&self.root, None)?;
        if reader.data.is_empty() { Ok(()) } else { Err(format!("{} bytes are left over", reader.data.len())) }
    }
}

/// Finds all types that have names.
fn collect(schema: &Avro, namespace: Option<&str>, names: &mut HashMap<String, Avro>) {
    let mut add = |name: &Name| _ = names.insert(name.fullname(namespace), schema.clone());
    match schema {
        Avro::Record(record) => {
            add(&record.name);
            let within = record.name.namespace().or(namespace);
            record.fields.iter().for_each(|field| collect(&field.schema, within, names));
        }
        Avro::Enum(schema) => add(&schema.name),
        Avro::Fixed(schema)
        | Avro::Duration(schema)
        | Avro::Decimal(DecimalSchema { inner: InnerDecimalSchema::Fixed(schema), .. })
        | Avro::Uuid(UuidSchema::Fixed(schema)) => add(&schema.name),
        Avro::Array(array) => collect(&array.items, namespace, names),
        Avro::Map(map) => collect(&map.types, namespace, names),
        Avro::Union(union) => union.variants().iter().for_each(|schema| collect(schema, namespace, names)),
        _ => {}
    }
}

struct Reader<'a> {
    schema: &'a Schema,
    data: &'a [u8],
    out: &'a mut Vec<u8>,
    limit: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, schema: &'a Avro, namespace: Option<&'a str>) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("it is more than {DEPTH_MAX} levels deep"));
        }
        if self.out.len() > self.limit {
            return Err(format!("it makes more than {JSON_MAX_BYTES} bytes of JSON"));
        }
        match schema {
            Avro::Record(record) => self.record(record, namespace)?,
            Avro::Array(array) => self.list(b"[]", |reader| reader.value(&array.items, namespace))?,
            Avro::Map(map) => self.list(b"{}", |reader| {
                reader.text()?;
                reader.out.push(b':');
                reader.value(&map.types, namespace)
            })?,
            Avro::Union(union) => {
                let index = usize::try_from(self.long()?).map_err(|_| "a union's index is negative")?;
                let schema = union.variants().get(index).ok_or("a union has no such branch")?;
                self.value(schema, namespace)?;
            }
            Avro::Ref { name } => {
                let full = name.fullname(namespace);
                let known = self.schema.names.get(&full).ok_or_else(|| format!("the type {full} is not known"))?;
                self.value(known, name.namespace().or(namespace))?;
            }
            plain => self.plain(plain)?,
        }
        self.depth -= 1;
        Ok(())
    }

    fn record(&mut self, record: &'a RecordSchema, namespace: Option<&'a str>) -> Result<(), String> {
        let within = record.name.namespace().or(namespace);
        self.out.push(b'{');
        for (index, field) in record.fields.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.quoted(&field.name);
            self.out.push(b':');
            self.value(&field.schema, within)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// Blocks of items, the last one empty; a negative count is followed by the block's size.
    fn list(
        &mut self,
        brackets: &[u8; 2],
        mut item: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.out.push(brackets[0]);
        let mut first = true;
        loop {
            let mut count = self.long()?;
            if count < 0 {
                count = count.checked_neg().ok_or("a block is too long")?;
                self.long()?;
            }
            if count == 0 {
                break;
            }
            for _ in 0..count {
                if !std::mem::take(&mut first) {
                    self.out.push(b',');
                }
                item(self)?;
            }
        }
        self.out.push(brackets[1]);
        Ok(())
    }

    fn plain(&mut self, schema: &Avro) -> Result<(), String> {
        match schema {
            Avro::Null => self.out.extend(b"null"),
            Avro::Boolean => {
                let value = self.take(1)?[0] != 0;
                self.out.extend(if value { &b"true"[..] } else { b"false" });
            }
            Avro::Int | Avro::Long => {
                let value = self.long()?;
                self.write(format_args!("{value}"));
            }
            Avro::Float => {
                let value = f32::from_le_bytes(self.take(4)?.try_into().expect("four bytes"));
                self.float(value.is_finite(), format_args!("{value:?}"));
            }
            Avro::Double => {
                let value = f64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes"));
                self.float(value.is_finite(), format_args!("{value:?}"));
            }
            Avro::String | Avro::Uuid(UuidSchema::String) => self.text()?,
            Avro::Bytes | Avro::BigDecimal => {
                let bytes = self.bytes()?;
                self.quoted(&base64::encode(bytes));
            }
            Avro::Fixed(fixed) => {
                let bytes = self.take(fixed.size)?;
                self.quoted(&base64::encode(bytes));
            }
            Avro::Enum(schema) => {
                let index = usize::try_from(self.long()?).map_err(|_| "an enum's index is negative")?;
                self.quoted(schema.symbols.get(index).ok_or("an enum has no such symbol")?);
            }
            Avro::Decimal(decimal) => {
                let bytes = match &decimal.inner {
                    InnerDecimalSchema::Bytes => self.bytes()?,
                    InnerDecimalSchema::Fixed(fixed) => self.take(fixed.size)?,
                };
                self.quoted(&decimal_text(bytes, decimal.scale)?);
            }
            Avro::Uuid(_) => {
                let bytes = self.take(16)?;
                self.quoted(&uuid_text(bytes));
            }
            other => self.moment(other)?,
        }
        Ok(())
    }

    fn moment(&mut self, schema: &Avro) -> Result<(), String> {
        if let Avro::Duration(_) = schema {
            let bytes = self.take(12)?;
            let part = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
            let (months, days, millis) = (part(0), part(4), part(8));
            self.quoted(&format!("P{months}M{days}DT{}.{:03}S", millis / 1000, millis % 1000));
            return Ok(());
        }
        let value = self.long()?;
        let time = |unit: i64| {
            let nanos = value.checked_mul(unit).filter(|nanos| *nanos != i64::MIN && *nanos != i64::MAX);
            nanos.map(|nanos| Time(nanos).to_string()).ok_or_else(|| format!("{value} is no time"))
        };
        let text = match schema {
            Avro::TimestampMillis => time(1_000_000)?,
            Avro::TimestampMicros => time(1_000)?,
            Avro::TimestampNanos => time(1)?,
            // Of no zone: the source's `zone` says which.
            Avro::LocalTimestampMillis => time(1_000_000)?.trim_end_matches('Z').to_owned(),
            Avro::LocalTimestampMicros => time(1_000)?.trim_end_matches('Z').to_owned(),
            Avro::LocalTimestampNanos => time(1)?.trim_end_matches('Z').to_owned(),
            Avro::Date => time(86_400_000_000_000)?.chars().take_while(|c| *c != 'T').collect(),
            Avro::TimeMillis => time(1_000_000)?.trim_start_matches("1970-01-01T").trim_end_matches('Z').to_owned(),
            Avro::TimeMicros => time(1_000)?.trim_start_matches("1970-01-01T").trim_end_matches('Z').to_owned(),
            other => return Err(format!("values of this type are not known: {other:?}")),
        };
        self.quoted(&text);
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.data.split_at_checked(count).ok_or("it ends too early")?;
        self.data = rest;
        Ok(taken)
    }

    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = usize::try_from(self.long()?).map_err(|_| "a length is negative")?;
        self.take(length)
    }

    fn text(&mut self) -> Result<(), String> {
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| "a text is no UTF-8")?;
        self.quoted(text);
        Ok(())
    }

    /// A number in zigzag and groups of seven bits.
    fn long(&mut self) -> Result<i64, String> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err("a number is too long".into())
    }

    /// JSON has no number that is none.
    fn float(&mut self, finite: bool, text: std::fmt::Arguments<'_>) {
        self.write(if finite { text } else { format_args!("null") });
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("memory takes what is written");
    }

    fn quoted(&mut self, text: &str) {
        serde_json::to_writer(&mut *self.out, text).expect("memory takes what is written");
    }
}

/// A number in two's complement, with so many of its digits behind the point.
fn decimal_text(bytes: &[u8], scale: usize) -> Result<String, String> {
    const DIGITS_MAX: usize = 16;
    if bytes.len() > DIGITS_MAX {
        return Err(format!("a decimal has more than {DIGITS_MAX} bytes"));
    }
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut full = [if negative { 0xff } else { 0 }; DIGITS_MAX];
    full[DIGITS_MAX - bytes.len()..].copy_from_slice(bytes);
    let value = i128::from_be_bytes(full);
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let (sign, point) = (if negative { "-" } else { "" }, if scale > 0 { "." } else { "" });
    Ok(format!("{sign}{whole}{point}{fraction}"))
}

fn uuid_text(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}
