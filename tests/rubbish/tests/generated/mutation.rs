//! Small changes of seeds.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use rubbish::corpus;

/// Bytes and texts that readers trip over, whatever they read.
const AWKWARD: [&[u8]; 24] = [
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\n",
    b"\r\n",
    b" ",
    b"\"",
    b"'",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"-",
    b"0",
    b"99999999999999999999",
    b"-1",
    b"1e999",
    b"null",
    "\u{feff}".as_bytes(),
    "🎉".as_bytes(),
    b"/*",
];

/// One change.
#[derive(Debug, Clone)]
enum Change {
    Replace(Index, u8),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
    Exchange(Index, Index),
    CutOff(Index),
}

/// A seed of the target with up to five changes; some insert one of `words`.
pub(crate) fn mutated(
    target: &str,
    words: &'static [&'static str],
) -> impl Strategy<Value = Vec<u8>> + use<> {
    let seeds: Vec<Vec<u8>> = corpus::seeds(target).into_iter().map(|(_, data)| data).collect();
    (select(seeds), prop::collection::vec(change(words), 1..6)).prop_map(|(mut data, changes)| {
        for change in changes {
            apply(&mut data, change);
        }
        data
    })
}

fn change(words: &'static [&'static str]) -> impl Strategy<Value = Change> {
    let known: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
    let awkward: Vec<Vec<u8>> = AWKWARD.iter().map(|bytes| bytes.to_vec()).collect();
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (any::<Index>(), 1..12_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (any::<Index>(), select(awkward)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), select(known)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), 1..40_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Change::Exchange(one, other)),
        any::<Index>().prop_map(Change::CutOff),
    ]
}

fn apply(data: &mut Vec<u8>, change: Change) {
    let place = |index: Index| index.index(data.len() + 1);
    match change {
        Change::Replace(at, byte) => {
            let at = place(at);
            if let Some(there) = data.get_mut(at) {
                *there = byte;
            }
        }
        Change::Remove(at, length) => {
            let at = place(at);
            let end = (at + length).min(data.len());
            data.drain(at..end);
        }
        Change::Insert(at, bytes) => {
            let at = place(at);
            data.splice(at..at, bytes);
        }
        Change::Repeat(at, length) => {
            let at = place(at);
            let end = (at + length).min(data.len());
            let again = data[at..end].to_vec();
            data.splice(at..at, again);
        }
        Change::Exchange(one, other) => {
            let (one, other) = (place(one), place(other));
            if one < data.len() && other < data.len() {
                data.swap(one, other);
            }
        }
        Change::CutOff(at) => {
            let at = place(at);
            data.truncate(at);
        }
    }
}
