//! A registry in this process, which speaks the calls that Confluent documents (its own cannot be installed here), and
//! messages as producers write them.

use super::*;
use apache_avro::Schema as Avro;
use apache_avro::types::{Record, Value};
use apache_avro::writer::datum::GenericDatumWriter;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

/// Answers paths with bodies, to whoever knows the password. It ends with the test's process.
pub fn registry(answers: &'static [(&'static str, &'static str)]) -> Registry {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut buffer = [0; 1024];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                let count = stream.read(&mut buffer).unwrap_or(0);
                if count == 0 {
                    break;
                }
                request.extend(&buffer[..count]);
            }
            let request = String::from_utf8_lossy(&request).to_lowercase();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let (status, body) = match answers.iter().find(|(known, _)| known.to_lowercase() == path) {
                _ if !request.contains("authorization: basic bwu6cznccmv0") => ("401 Unauthorized", ""),
                Some((_, "broken")) => ("503 Service Unavailable", ""),
                Some((_, body)) => ("200 OK", *body),
                None => ("404 Not Found", r#"{"error_code":40403,"message":"Schema not found"}"#),
            };
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    Registry { url, login: Some(("me".into(), Secret("s3Bret".into()))), ca: None }
}

pub fn framed(id: u32, data: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], data].concat()
}

fn decoded(decoder: &mut Decoder, message: &[u8]) -> Result<String, Fault> {
    let mut out = Vec::new();
    decoder.decode(message, &mut out).map(|()| String::from_utf8(out).unwrap())
}

const ORDER: &str = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "long"},
    {"name": "note", "type": ["null", "string"]},
    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "noon", "type": {"type": "int", "logicalType": "time-millis"}},
    {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "PAID"]}},
    {"name": "before", "type": ["null", "State"]},
    {"name": "items", "type": {"type": "array", "items": "string"}},
    {"name": "weights", "type": {"type": "map", "values": "double"}},
    {"name": "raw", "type": {"type": "fixed", "name": "Raw", "size": 3}},
    {"name": "paid", "type": "boolean"}
]}"#;

#[test]
fn avro_becomes_json_whatever_its_types() {
    let schema = Avro::parse_str(ORDER).unwrap();
    let mut record = Record::new(&schema).unwrap();
    record.put("id", Value::Long(9_007_199_254_740_993));
    record.put("note", Value::Union(1, Box::new(Value::String("ü \"x\"\n".into()))));
    record.put("amount", Value::Decimal((-12_345i32).to_be_bytes().to_vec().into()));
    record.put("at", Value::TimestampMillis(1_700_000_000_123));
    record.put("day", Value::Date(19_675));
    record.put("noon", Value::TimeMillis(43_200_500));
    record.put("state", Value::Enum(1, "PAID".into()));
    record.put("before", Value::Union(1, Box::new(Value::Enum(0, "NEW".into()))));
    record.put("items", Value::Array(vec![Value::String("a".into()), Value::String("b".into())]));
    record.put("weights", Value::Map([("a".to_owned(), Value::Double(1.5))].into()));
    record.put("raw", Value::Fixed(3, vec![1, 2, 3]));
    record.put("paid", Value::Boolean(true));
    let data = GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(record).unwrap();
    let schema = avro::Schema::new(ORDER, &[]).unwrap();
    let mut out = Vec::new();
    schema.decode(&data, &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"id":9007199254740993,"note":"ü \"x\"\n","amount":"-123.45","at":"2023-11-14T22:13:20.123Z","day":"2023-11-14","noon":"12:00:00.500","state":"PAID","before":"NEW","items":["a","b"],"weights":{"a":1.5},"raw":"AQID","paid":true}"#
    );
    // Whatever is cut off or wrong is told, and nothing of it breaks.
    for end in 0..data.len() {
        assert!(schema.decode(&data[..end], &mut Vec::new()).is_err(), "{end} bytes of it");
    }
    for at in 0..data.len() {
        for byte in [0, 0x7f, 0x80, 0xff] {
            let mut wrong = data.clone();
            wrong[at] = byte;
            let _ = schema.decode(&wrong, &mut Vec::new());
        }
    }
    assert!(schema.decode(&[&data[..], b"x"].concat(), &mut Vec::new()).unwrap_err().contains("left over"));
}

#[test]
fn a_list_of_nothing_without_end_is_cut_off() {
    let schema = avro::Schema::new(r#"{"type": "array", "items": "null"}"#, &[]).unwrap();
    let endless = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    assert!(schema.decode(&endless, &mut Vec::new()).unwrap_err().contains("bytes of JSON"));
}

#[test]
fn schemas_are_asked_for_with_what_they_refer_to() {
    let registry = registry(&[
        (
            "/schemas/ids/1",
            r#"{"schema": "{\"type\":\"record\",\"name\":\"Paid\",\"fields\":[{\"name\":\"by\",\"type\":\"shop.Customer\"}]}", "references": [{"name": "shop.Customer", "subject": "shop/customer", "version": 3}]}"#,
        ),
        (
            "/subjects/shop%2Fcustomer/versions/3",
            r#"{"subject": "x", "version": 3, "id": 9, "schema": "{\"type\":\"record\",\"name\":\"Customer\",\"namespace\":\"shop\",\"fields\":[{\"name\":\"id\",\"type\":\"string\"},{\"name\":\"friend\",\"type\":[\"null\",\"Customer\"]}]}"}"#,
        ),
        ("/schemas/ids/2", r#"{"schema": "{\"type\":\"object\"}", "schemaType": "JSON"}"#),
        ("/schemas/ids/3", r#"{"schema": "{\"type\":\"nothing\"}"}"#),
        ("/schemas/ids/5", "broken"),
    ]);
    let mut decoder = Decoder::new(&registry, Encoding::Avro).unwrap();
    let told = decoded(&mut decoder, &framed(1, b"\x04c1\x02\x04c2\x00"));
    assert_eq!(told.unwrap(), r#"{"by":{"id":"c1","friend":{"id":"c2","friend":null}}}"#);
    let mut wrong = |message: &[u8]| match decoded(&mut decoder, message).unwrap_err() {
        Fault::Undecodable(reason, detail) => format!("{reason}: {detail}"),
        Fault::Failed(why) => why,
    };
    assert!(wrong(b"{}").starts_with("wire_format: it does not begin with a zero"));
    assert_eq!(wrong(&framed(1, b"\x04c1")), "data: it is not what schema 1 says: it ends too early");
    assert_eq!(wrong(&framed(2, b"")), "schema: schema 2: it is JSON, and `format` says Avro");
    assert!(wrong(&framed(3, b"")).starts_with("schema: schema 3: it cannot be read"));
    assert_eq!(wrong(&framed(4, b"")), "schema: schema 4: the registry does not know it");
    assert!(wrong(&framed(5, b"")).contains("it answers 503. Check `registry`"), "it may answer later");
    let stranger = Registry { login: Some(("me".into(), Secret("wrong".into()))), ..registry };
    let mut decoder = Decoder::new(&stranger, Encoding::Avro).unwrap();
    let told = format!("{:?}", decoded(&mut decoder, &framed(1, b"")).unwrap_err());
    assert!(told.contains("401") && told.contains("password") && !told.contains("wrong\""), "{told}");
    let nobody = Registry { url: "http://127.0.0.1:1".into(), ..stranger };
    let mut decoder = Decoder::new(&nobody, Encoding::Avro).unwrap();
    assert!(matches!(decoded(&mut decoder, &framed(1, b"")), Err(Fault::Failed(_))));
}

#[test]
fn protobuf_becomes_json_by_the_names_of_its_file() {
    let registry = registry(&[
        (
            "/schemas/ids/7",
            r#"{"schemaType": "PROTOBUF", "schema": "syntax = \"proto3\"; package shop; import \"google/protobuf/timestamp.proto\"; import \"money.proto\"; message Other {} message Order { message Item { string sku = 1; int32 count = 2; } int64 order_id = 1; repeated Item items = 2; google.protobuf.Timestamp placed_at = 3; State state = 4; Money total = 5; optional string note = 6; } enum State { NEW = 0; PAID = 1; }", "references": [{"name": "money.proto", "subject": "money", "version": 1}]}"#,
        ),
        (
            "/subjects/money/versions/1",
            r#"{"schema": "syntax = \"proto3\"; package shop; message Money { int64 cents = 1; }"}"#,
        ),
    ]);
    let mut decoder = Decoder::new(&registry, Encoding::Protobuf).unwrap();
    // Message 1 of the file; order_id 9007199254740993, an item, a time, PAID, 1250 cents.
    let order = b"\x02\x02\x08\x81\x80\x80\x80\x80\x80\x80\x10\x12\x05\x0a\x01a\x10\x02\x1a\x08\x08\x80\xe2\xcf\xaa\x06\x10\x00\x20\x01\x2a\x03\x08\xe2\x09";
    assert_eq!(
        decoded(&mut decoder, &framed(7, order)).unwrap(),
        r#"{"order_id":9007199254740993,"items":[{"sku":"a","count":2}],"placed_at":"2023-11-14T22:13:20Z","state":"PAID","total":{"cents":1250}}"#
    );
    assert_eq!(decoded(&mut decoder, &framed(7, b"\x00")).unwrap(), "{}", "an empty path is the first message");
    let item = decoded(&mut decoder, &framed(7, b"\x04\x02\x00\x0a\x01b")).unwrap();
    assert_eq!(item, r#"{"sku":"b","count":0}"#, "a message within a message");
    for wrong in [&b"\x02\x08"[..], b"\x02", b"\x01", b"\x02\x02\x08"] {
        assert!(matches!(decoded(&mut decoder, &framed(7, wrong)), Err(Fault::Undecodable("data", _))), "{wrong:?}");
    }
}
