//! Prose of many scripts, with the characters that quoting gets wrong.

use crate::random::Random;

const WORDS: [&str; 24] = [
    "migration",
    "schema",
    "rollback",
    "deploy",
    "latency",
    "review",
    "token",
    "queue",
    "worker",
    "bridge",
    "back\\slash",
    "percent%",
    "under_score",
    "\"double\"",
    "'quoted'",
    "café",
    "naïve",
    "Ünïcode",
    "数据库",
    "тест",
    "שלום",
    "مرحبا",
    "🎉",
    "👩‍🔬",
];

/// Between `least` and `most` words.
pub fn text(random: &mut Random, least: u64, most: u64) -> String {
    let words = least + random.below(most - least + 1);
    let mut text = String::with_capacity(words as usize * 10);
    let mut bits = 0;
    for index in 0..words {
        // One random number gives twelve words of five bits each.
        if index % 12 == 0 {
            bits = random.next_u64();
        } else {
            text.push(' ');
        }
        text.push_str(WORDS[(bits % 24) as usize]);
        bits /= 32;
        if index % 12 == 11 {
            text.push(' ');
        }
    }
    text
}
