//! Ways in which a file is damaged.

use support::random::Random;

/// Bytes of a page of all databases here.
pub(crate) const PAGE: usize = 4096;

/// One damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The page holds nothing but zeros.
    Zeros(usize),
    /// The page holds bytes by chance.
    Noise(usize),
    /// The page holds what another holds.
    Other(usize, usize),
    /// Some bytes of the page are others.
    Bent(usize),
    /// Nothing is left after so many bytes.
    CutOff(usize),
}

/// Every page in every way, and the file cut at each end of a page and within each.
pub(crate) fn all(bytes: &[u8]) -> Vec<Damage> {
    let pages = bytes.len() / PAGE;
    let mut all = Vec::new();
    for page in 0..pages {
        let other = (page + 1 + page * 7 % (pages - 1)) % pages;
        all.extend([
            Damage::Zeros(page),
            Damage::Noise(page),
            Damage::Other(page, other),
            Damage::Bent(page),
        ]);
        all.extend(
            [page * PAGE, page * PAGE + PAGE / 3]
                .into_iter()
                .filter(|end| *end > 0)
                .map(Damage::CutOff),
        );
    }
    all
}

/// For each page `ways` of the ways, another for each page and `turn`; all when the environment says `RUBBISH_ALL=1`.
pub(crate) fn some(bytes: &[u8], turn: usize, ways: usize) -> Vec<Damage> {
    if std::env::var("RUBBISH_ALL").is_ok_and(|all| all == "1") {
        return all(bytes);
    }
    let pages = bytes.len() / PAGE;
    (0..pages)
        .flat_map(|page| {
            let of_page: Vec<Damage> = all(bytes)
                .into_iter()
                .filter(|damage| damage.page() == page)
                .collect();
            (0..ways).map(move |way| of_page[(page + turn + way) % of_page.len()])
        })
        .collect()
}

impl Damage {
    /// The page that is damaged, or in which the file ends.
    pub(crate) fn page(self) -> usize {
        match self {
            Self::Zeros(page) | Self::Noise(page) | Self::Other(page, _) | Self::Bent(page) => page,
            Self::CutOff(end) => end / PAGE,
        }
    }

    /// The bytes with the damage; `None` when it changes nothing.
    pub(crate) fn of(self, sound: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = sound.to_vec();
        let range = |page: usize| page * PAGE..(page + 1) * PAGE;
        let mut random = Random::new(self.page() as u64 + 1);
        match self {
            Self::Zeros(page) => bytes[range(page)].fill(0),
            Self::Noise(page) => bytes[range(page)].copy_from_slice(&random.bytes(PAGE)),
            Self::Other(page, other) => bytes.copy_within(range(other), page * PAGE),
            Self::Bent(page) => {
                for _ in 0..6 {
                    let at = page * PAGE + random.below(PAGE as u64) as usize;
                    bytes[at] ^= random.bytes(1)[0];
                }
            }
            Self::CutOff(end) => bytes.truncate(end),
        }
        (bytes != sound).then_some(bytes)
    }
}

#[test]
fn every_page_is_damaged_in_some_way_and_in_every_way_by_all() {
    let sound: Vec<u8> = (0..PAGE * 5)
        .map(|at| (at / PAGE * 37 + at % 251) as u8)
        .collect();
    assert_eq!(all(&sound).len(), 5 * 6 - 1);
    for turn in 0..6 {
        let pages: std::collections::BTreeSet<usize> =
            some(&sound, turn, 1).iter().map(|damage| damage.page()).collect();
        assert_eq!(pages.len(), 5);
    }
    for damage in all(&sound) {
        let bytes = damage
            .of(&sound)
            .unwrap_or_else(|| panic!("{damage:?} changes nothing"));
        assert_ne!(bytes, sound);
    }
}
