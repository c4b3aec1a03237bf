//! The stored record, as a reader from outside understands it.

/// `1 EPOCH OWNER ID`, or a bare id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) epoch: u64,
    pub(crate) owner: u64,
    /// `None` before the first commit.
    pub(crate) id: Option<u64>,
}

impl Record {
    /// `None` for what is no record.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = |id: &str| id.strip_suffix("-0")?.parse().ok();
        match text.split(' ').collect::<Vec<_>>()[..] {
            [id] => Some(Self { epoch: 0, owner: 0, id: Some(number(id)?) }),
            ["1", epoch, owner, id] => Some(Self {
                epoch: epoch.parse().ok()?,
                owner: u64::from_str_radix(owner, 16).ok()?,
                id: if id == "-" { None } else { Some(number(id)?) },
            }),
            _ => None,
        }
    }
}
