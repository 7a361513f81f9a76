//! The addresses that a session was heard from, under the numbers that the core knows them by.

use whimbrel_core::PathId;

use crate::socket::Path;

/// How many addresses a session may have at a time: the one in use, and candidates.
const PATHS: usize = 4;

/// A few paths of one session. A new address takes the place of the oldest, but never of the one in use: which
/// address is in use is the core's decision. Anybody can make datagrams with a session's connection id, so that an
/// address is only kept once something authentic came from it.
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

    /// The number of `path`; when it is not known, the one that it gets by [`Paths::learn`].
    pub(crate) fn id(&self, path: Path) -> PathId {
        let known = self.known.iter().flatten().find(|(_, known)| *known == path);
        known.map_or(PathId(self.next), |(id, _)| *id)
    }

    /// Something authentic came from there, so that it is kept: under the number of [`Paths::id`].
    pub(crate) fn learn(&mut self, path: Path) {
        let id = self.id(path);
        if id != PathId(self.next) {
            return;
        }
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
            paths.learn(path(port));
            assert_eq!(paths.choose(PathId(0)), Some(path(1)));
            assert_eq!(paths.id(path(port)), id);
        }
        assert_eq!(paths.id(path(1)), PathId(0));
    }

    #[test]
    fn an_address_that_nothing_authentic_came_from_is_not_kept() {
        let mut paths = Paths::new(path(1));
        let id = paths.id(path(2));
        assert_eq!((paths.id(path(3)), paths.choose(id)), (id, None));
        paths.learn(path(3));
        assert_eq!((paths.choose(id), paths.id(path(3))), (Some(path(3)), id));
        assert_ne!(paths.id(path(2)), id);
    }

    #[test]
    fn the_path_moves_when_the_core_says_so() {
        let mut paths = Paths::new(path(1));
        let id = paths.id(path(2));
        paths.learn(path(2));
        assert_eq!(paths.choose(id), Some(path(2)));
        (3..7).for_each(|port| paths.learn(path(port)));
        assert_eq!(paths.choose(id), Some(path(2)));
        assert_eq!(paths.choose(PathId(0)), None);
    }
}
