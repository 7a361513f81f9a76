//! The addresses that a session was heard from, under the numbers that the core knows them by.

use whimbrel_core::PathId;

use crate::socket::Path;

/// How many addresses a session may have at a time: the one in use, and candidates.
const PATHS: usize = 4;

/// A few paths of one session. Anybody can make datagrams with a session's connection id, so a
/// new address takes the place of the oldest, but never of the one in use: which address is in
/// use is the core's decision.
#[derive(Debug)]
pub(crate) struct Paths {
    known: [Option<(PathId, Path)>; PATHS],
    /// The path of the last datagram sent.
    current: PathId,
    next: u32,
}

impl Paths {
    /// With the path that the session was opened by, which is number 0.
    pub(crate) fn new(first: Path) -> Self {
        let mut known = [None; PATHS];
        if let Some(place) = known.first_mut() {
            *place = Some((PathId(0), first));
        }
        Self { known, current: PathId(0), next: 1 }
    }

    /// The number of `path`, a new one when it is not known.
    pub(crate) fn id(&mut self, path: Path) -> PathId {
        if let Some((id, _)) = self.known.iter().flatten().find(|(_, known)| *known == path) {
            return *id;
        }
        let id = PathId(self.next);
        self.next = self.next.wrapping_add(1);
        let current = self.current;
        // Empty places first, then the lowest number; the numbers grow with age.
        let place = self
            .known
            .iter_mut()
            .filter(|place| place.is_none_or(|(known, _)| known != current))
            .min_by_key(|place| place.map(|(known, _)| known));
        if let Some(place) = place {
            *place = Some((id, path));
        }
        id
    }

    /// Where to send; the core chose `id`.
    pub(crate) fn choose(&mut self, id: PathId) -> Option<Path> {
        let path = self.known.iter().flatten().find(|(known, _)| *known == id).map(|(_, path)| *path)?;
        self.current = id;
        Some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::SocketAddr;

    fn path(port: u16) -> Path {
        Path { peer: SocketAddr::from(([10, 0, 0, 1], port)), local: None }
    }

    #[test]
    fn strangers_cannot_push_out_the_path_in_use() {
        let mut paths = Paths::new(path(1));
        for port in 2..100 {
            let id = paths.id(path(port));
            assert_eq!(paths.choose(PathId(0)), Some(path(1)));
            assert_eq!(paths.id(path(port)), id);
        }
        assert_eq!(paths.id(path(1)), PathId(0));
    }

    #[test]
    fn the_path_moves_when_the_core_says_so() {
        let mut paths = Paths::new(path(1));
        let id = paths.id(path(2));
        assert_eq!(paths.choose(id), Some(path(2)));
        (3..7).for_each(|port| {
            paths.id(path(port));
        });
        assert_eq!(paths.choose(id), Some(path(2)));
        assert_eq!(paths.choose(PathId(0)), None);
    }
}
