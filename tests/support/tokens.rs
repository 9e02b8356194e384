//! A token file as the Bridge's server writes it. The tokens open nothing: they are made from a seed.

use std::fmt::Write as _;

use crate::random::{Random, hex_id};

/// A token that is revoked and in no map any more; every file of [`tokens_json`] has it.
pub const REVOKED_AND_FORGOTTEN: &str = "tk_revoked_and_forgotten";

const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A file of `count` tokens of 43 URL-safe characters, as `json.dump(…, indent=2)` prints it. One in eight is revoked, and
/// so is [`REVOKED_AND_FORGOTTEN`]. Times are naive local time, each token lives 30 days.
pub fn tokens_json(seed: u64, count: usize) -> String {
    let mut random = Random::new(seed);
    let mut entries = Vec::with_capacity(count);
    let mut revoked = Vec::new();
    for index in 0..count {
        let token = token(seed, index, &mut random);
        let second = random.below(28 * 86_400) as i64;
        let micros = random.below(1_000_000) as u32;
        // 2026-01-20T00:00:00 in seconds since 1970.
        let created = chrono::DateTime::from_timestamp(1_768_867_200 + second, micros * 1000).unwrap();
        let expires = created + chrono::TimeDelta::days(30);
        let form = "%Y-%m-%dT%H:%M:%S%.6f";
        let mut entry = String::new();
        write!(
            entry,
            "    \"{token}\": {{\n      \"client_id\": \"claude-{}\",\n      \"created_at\": \"{}\",\n      \"expires_at\": \"{}\"\n    }}",
            index % 9,
            created.format(form),
            expires.format(form),
        )
        .unwrap();
        if index % 8 == 3 {
            revoked.push(token);
        }
        entries.push(entry);
    }
    revoked.push(REVOKED_AND_FORGOTTEN.to_owned());
    let tokens = match entries.is_empty() {
        true => "{}".to_owned(),
        false => format!("{{\n{}\n  }}", entries.join(",\n")),
    };
    let revoked: Vec<String> = revoked.iter().map(|token| format!("    \"{token}\"")).collect();
    format!(
        "{{\n  \"tokens\": {tokens},\n  \"revoked\": [\n{}\n  ]\n}}",
        revoked.join(",\n")
    )
}

/// Most tokens look like `tk_` and 40 hexadecimal digits, the others like Python's `secrets.token_urlsafe(32)`.
fn token(seed: u64, index: usize, random: &mut Random) -> String {
    if index % 5 == 4 {
        (0..43)
            .map(|_| char::from(URL_SAFE[random.below(64) as usize]))
            .collect()
    } else {
        let id = hex_id(seed, u64::from(b't'), index as u64);
        format!("tk_{id}{:08x}", random.below(1 << 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_servers_shape() {
        let text = tokens_json(9, 40);
        assert_eq!(text, tokens_json(9, 40));
        assert_ne!(text, tokens_json(10, 40));
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        let tokens = file["tokens"].as_object().unwrap();
        assert_eq!(tokens.len(), 40);
        for (token, entry) in tokens {
            assert_eq!(token.len(), 43, "{token}");
            assert!(token.bytes().all(|byte| URL_SAFE.contains(&byte)), "{token}");
            for key in ["created_at", "expires_at"] {
                let time = entry[key].as_str().unwrap();
                assert!(
                    chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S%.6f").is_ok(),
                    "{time}"
                );
            }
        }
        let revoked: Vec<&str> = file["revoked"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t.as_str().unwrap())
            .collect();
        let (known, forgotten): (Vec<&str>, Vec<&str>) =
            revoked.iter().partition(|token| tokens.contains_key(**token));
        assert_eq!(known.len(), 5);
        assert_eq!(forgotten, [REVOKED_AND_FORGOTTEN]);
    }

    #[test]
    fn a_file_without_tokens_is_json_too() {
        assert!(serde_json::from_str::<serde_json::Value>(&tokens_json(1, 0)).is_ok());
    }
}
