//! Pages as WARC records (ISO 28500, version 1.1), each in a gzip member of its own, as archive tools expect it.
use std::io::{Read, Write};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};
use url::Url;
use uuid::Uuid;

use super::super::fetched::Fetched;
use crate::{Code, Error, Result};

/// Our own field of a record: the page's number.
const PAGE: &str = "Icehaul-Page";
/// The most bytes that a record may have, decompressed: a page of the largest permitted size and its headers.
const LARGEST: u64 = 1 << 30;

/// Appends a page as a compressed record; gives the record's length.
///
/// # Errors
/// [`Code::Internal`]; writing to memory does not fail.
pub(super) fn write(page: &Fetched, out: &mut Vec<u8>) -> Result<u64> {
    let mut http = format!("HTTP/1.1 {} {}\r\n", page.status, if page.status == 200 { "OK" } else { "-" });
    for (name, value) in &page.headers {
        http.push_str(&format!("{name}: {value}\r\n"));
    }
    // The body is kept decompressed: its encoding on the way is no part of it.
    http.push_str(&format!("content-length: {}\r\n\r\n", page.body.len()));
    let digest = base32(&page.digest());
    let fields = format!(
        "WARC-Target-URI: {}\r\nWARC-Payload-Digest: sha256:{digest}\r\n{PAGE}: {}\r\n\
         Content-Type: application/http; msgtype=response\r\n",
        page.url, page.number
    );
    record("response", page.at, &fields, &[http.as_bytes(), &page.body], out)
}

/// Appends the record that says what a file is.
///
/// # Errors
/// See [`write`].
pub(super) fn write_info(at: DateTime<Utc>, out: &mut Vec<u8>) -> Result<u64> {
    let info = format!(
        "software: icehaul/{}\r\nformat: WARC File Format 1.1\r\n\
         description: pages of one job; bodies are decompressed, cookies left out\r\n",
        env!("CARGO_PKG_VERSION")
    );
    record("warcinfo", at, "Content-Type: application/warc-fields\r\n", &[info.as_bytes()], out)
}

fn record(kind: &str, at: DateTime<Utc>, fields: &str, block: &[&[u8]], out: &mut Vec<u8>) -> Result<u64> {
    let begin = out.len();
    let length: usize = block.iter().map(|part| part.len()).sum();
    let head = format!(
        "WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{}>\r\nWARC-Date: {}\r\n{fields}Content-Length: {length}\r\n\r\n",
        Uuid::new_v4(),
        at.to_rfc3339_opts(SecondsFormat::Micros, true),
    );
    let mut written = || -> std::io::Result<()> {
        let mut packed = GzEncoder::new(&mut *out, Compression::fast());
        packed.write_all(head.as_bytes())?;
        block.iter().try_for_each(|part| packed.write_all(part))?;
        packed.write_all(b"\r\n\r\n")?;
        packed.finish().map(|_| ())
    };
    written().map_err(|e| Error::new(Code::Internal, "a page cannot be packed").caused_by(e))?;
    Ok((out.len() - begin) as u64)
}

/// A record that was read: the page, if it is one, and how many bytes it took.
pub(super) struct Record {
    pub page: Option<Fetched>,
    pub length: u64,
}

/// Reads the record at the begin of `packed`. `None` if it is not whole: a process was killed while it wrote.
pub(super) fn read(packed: &[u8]) -> Option<Record> {
    let mut member = GzDecoder::new(packed);
    let mut bytes = Vec::new();
    member.by_ref().take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > LARGEST {
        return None;
    }
    let length = (packed.len() - member.into_inner().len()) as u64;
    let bytes = Bytes::from(bytes);
    let end = find(&bytes, b"\r\n\r\n")?;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let field = |name: &str| head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let block_length: usize = field("Content-Length")?.parse().ok()?;
    let block = end + 4..(end + 4).checked_add(block_length)?;
    if !bytes.get(block.end..)?.starts_with(b"\r\n\r\n") {
        return None;
    }
    if field("WARC-Type") != Some("response") {
        return Some(Record { page: None, length });
    }
    let page = page_of(&bytes.slice(block), field("WARC-Target-URI")?, field("WARC-Date")?, field(PAGE)?)?;
    Some(Record { page: Some(page), length })
}

fn page_of(block: &Bytes, url: &str, at: &str, number: &str) -> Option<Fetched> {
    let end = find(block, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(block.get(..end)?).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers = lines.filter_map(header).filter(|(name, _)| name != "content-length").collect();
    Some(Fetched {
        number: number.parse().ok()?,
        url: Url::parse(url).ok()?,
        status,
        headers,
        body: block.slice(end + 4..),
        at: DateTime::parse_from_rfc3339(at).ok()?.to_utc(),
    })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, what)
}

/// RFC 4648, as digests in WARC files are written.
fn base32(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    for chunk in bytes.chunks(5) {
        let mut group = [0; 8];
        group[3..3 + chunk.len()].copy_from_slice(chunk);
        let group = u64::from_be_bytes(group);
        for n in 0..8 {
            let is_filled = n * 5 < chunk.len() * 8;
            let digit = DIGITS[(group >> (35 - 5 * n)) as usize & 31];
            text.push(if is_filled { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u32, body: &[u8]) -> Fetched {
        let headers = vec![
            ("content-type".to_owned(), "text/html; charset=utf-8".to_owned()),
            ("etag".into(), "\"x: y\"".into()),
        ];
        Fetched { number, headers, body: body.to_vec().into(), ..Fetched::empty() }
    }

    #[test]
    fn pages_come_back_as_they_were() {
        let mut file = Vec::new();
        let mut at = usize::try_from(write_info(Utc::now(), &mut file).expect("written")).expect("small");
        let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let bodies: [&[u8]; 4] = [b"<p>one", b"", b"\r\n\r\nWARC/1.1\r\n\r\n", &binary];
        for (n, body) in bodies.iter().enumerate() {
            write(&page(n as u32 + 1, body), &mut file).expect("written");
        }
        assert!(read(&file).expect("the first record").page.is_none());
        for (n, body) in bodies.iter().enumerate() {
            let record = read(&file[at..]).expect("a record");
            let (found, expected) = (record.page.expect("a page"), page(n as u32 + 1, body));
            assert_eq!((found.number, found.status, &found.body), (expected.number, 200, &expected.body));
            assert_eq!((found.url, found.at, found.headers), (expected.url, expected.at, expected.headers));
            at += usize::try_from(record.length).expect("small");
        }
        assert_eq!(at, file.len());
    }

    #[test]
    fn a_record_that_was_cut_off_is_none() {
        let mut file = Vec::new();
        write(&page(1, &[7; 5000]), &mut file).expect("written");
        for cut in 0..file.len() {
            assert!(read(&file[..cut]).is_none(), "{cut}");
        }
        let mut wrong = file.clone();
        let middle = wrong.len() / 2;
        wrong[middle] ^= 0xff;
        assert!(read(&wrong).is_none());
    }

    #[test]
    fn digests_are_spelled_as_the_standard_has_it() {
        for (bytes, text) in [("", ""), ("f", "MY======"), ("fooba", "MZXW6YTB"), ("foobar", "MZXW6YTBOI======")] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }
}
