//! Edits of a sound text, so that rubbish can be nearly right: what is right, such as a digest, differs each time.

/// The bytes themselves; when they begin with `~`, the sound text with an edit for each line that follows: `old=>new`,
/// where a `?` at the end of the old stands for any byte, or `place removed new` with numbers of bytes.
pub(super) fn edited(sound: &[u8], data: &[u8]) -> Vec<u8> {
    let Some(edits) = data.strip_prefix(b"~") else {
        return data.to_owned();
    };
    let mut text = sound.to_owned();
    for edit in edits.split(|byte| *byte == b'\n').take(16) {
        if let Some((old, new)) = cut(edit, b"=>") {
            let (old, more) = match old.strip_suffix(b"?") {
                Some(old) => (old, 1),
                None => (old, 0),
            };
            if let Some(at) = find(&text, old).filter(|_| !old.is_empty()) {
                let end = (at + old.len() + more).min(text.len());
                text.splice(at..end, new.iter().copied());
            }
            continue;
        }
        let mut fields = edit.splitn(3, |byte| *byte == b' ');
        let mut number = || -> usize {
            fields
                .next()
                .and_then(|field| std::str::from_utf8(field).ok()?.parse().ok())
                .unwrap_or(0)
        };
        let at = number() % (text.len() + 1);
        let end = number().saturating_add(at).min(text.len());
        text.splice(at..end, fields.next().unwrap_or_default().iter().copied());
    }
    text
}

fn cut<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = find(text, at)?;
    Some((&text[..place], &text[place + at.len()..]))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len().max(1))
        .position(|window| window == wanted)
}
