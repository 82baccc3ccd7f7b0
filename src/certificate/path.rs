//! The ways from a leaf to a root, as a client finds them that fetches nothing by itself: through
//! what is served, by the names and by the signatures. Time plays no part in it.

use jiff::Timestamp;

use super::x509::Certificate;

/// What is served may be anything, so the search has bounds. Real chains have a few ways of at
/// most four steps.
const PATHS_MAX: usize = 64;
const STEPS_MAX: usize = 8;
const CHECKS_MAX: usize = 1000;

/// One way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Places in the served chain, the leaf's 0 first. The root is not among them unless it is
    /// all that there is.
    pub(super) served: Vec<usize>,
    /// Place among the roots.
    pub(super) root: usize,
}

/// All ways that there are.
#[derive(Debug, Default)]
pub(super) struct Paths {
    pub(super) found: Vec<Path>,
    /// The longest ways that lead to no root.
    dead_end: Vec<usize>,
    /// Certificates whose issuer is there by name, but has not signed them.
    pub(super) badly_signed: Vec<usize>,
    /// Signatures checked so far.
    checks: usize,
}

impl Paths {
    pub(super) fn search(served: &[Certificate], roots: &[Certificate]) -> Self {
        let mut paths = Self::default();
        if !served.is_empty() {
            paths.go_on(&mut vec![0], served, roots);
        }
        paths
    }

    /// The last certificate of the longest way that leads nowhere.
    pub(super) fn dead_end(&self) -> Option<usize> {
        self.dead_end.last().copied()
    }

    fn go_on(&mut self, way: &mut Vec<usize>, served: &[Certificate], roots: &[Certificate]) {
        let Some(&last) = way.last() else { return };
        let here = &served[last];
        if self.checks >= CHECKS_MAX || self.found.len() >= PATHS_MAX {
            return;
        }
        let mut leads_on = false;
        for (number, root) in roots.iter().enumerate() {
            let served_root = way.len() > 1 && root.is_same_entity(here);
            let is_leaf = way.len() == 1 && root.der == here.der;
            if served_root || is_leaf {
                let until = if is_leaf { 1 } else { way.len() - 1 };
                self.add(&way[..until], number);
                leads_on = true;
            } else if root.subject == here.issuer && self.signed(root, last, here) {
                self.add(way, number);
                leads_on = true;
            }
        }
        if way.len() < STEPS_MAX && !here.is_self_issued() {
            for (number, issuer) in served.iter().enumerate() {
                let is_new = !way.iter().any(|step| served[*step].der == issuer.der);
                if is_new && issuer.subject == here.issuer && self.signed(issuer, last, here) {
                    leads_on = true;
                    way.push(number);
                    self.go_on(way, served, roots);
                    way.pop();
                }
            }
        }
        if !leads_on && way.len() > self.dead_end.len() {
            self.dead_end = way.clone();
        }
    }

    fn add(&mut self, way: &[usize], root: usize) {
        let path = Path {
            served: way.to_vec(),
            root,
        };
        if !self.found.contains(&path) {
            self.found.push(path);
        }
    }

    fn signed(&mut self, issuer: &Certificate, number: usize, subject: &Certificate) -> bool {
        if self.checks >= CHECKS_MAX {
            return false;
        }
        self.checks += 1;
        let signed = issuer.has_signed(subject) != Some(false);
        if !signed && !self.badly_signed.contains(&number) {
            self.badly_signed.push(number);
        }
        signed
    }
}

impl Path {
    /// When the first of its certificates ends, with the root.
    pub(super) fn end(&self, served: &[Certificate], roots: &[Certificate]) -> Timestamp {
        self.certificates(served, roots)
            .map(|one| one.not_after)
            .min()
            .unwrap_or(Timestamp::MAX)
    }

    /// Those above the leaf, the root last.
    pub(super) fn above<'a>(
        &'a self,
        served: &'a [Certificate],
        roots: &'a [Certificate],
    ) -> impl Iterator<Item = &'a Certificate> {
        self.certificates(served, roots).skip(1)
    }

    fn certificates<'a>(
        &'a self,
        served: &'a [Certificate],
        roots: &'a [Certificate],
    ) -> impl Iterator<Item = &'a Certificate> {
        let root = &roots[self.root];
        let is_leaf = self.served.len() == 1 && served[0].der == root.der;
        self.served
            .iter()
            .map(|number| &served[*number])
            .chain((!is_leaf).then_some(root))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    use super::*;

    /// Authorities of one name, each of which may have issued any other: what an attacker of path
    /// building makes.
    #[test]
    fn a_maze_is_left_in_time() {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "maze");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = || KeyPair::generate().expect("a key");
        let root = CertifiedIssuer::self_signed(params.clone(), key()).expect("a root");
        let one_key = key();
        let mut maze = Vec::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "x");
        let first = CertifiedIssuer::signed_by(params.clone(), &one_key, &root).expect("a link");
        for _ in 0..30 {
            let link = params.signed_by(&one_key, &first).expect("a link");
            maze.push(Certificate::read(link.der()).expect("a certificate"));
        }
        // Self-issued certificates end a way, so let the names differ where the keys do not.
        for one in &mut maze {
            one.issuer = b"other".to_vec();
        }
        let mut other = maze.clone();
        for one in &mut other {
            one.subject = b"other".to_vec();
            one.issuer = maze[0].subject.clone();
        }
        maze.append(&mut other);
        let paths = Paths::search(&maze, &[]);
        assert!(paths.found.is_empty());
        assert_eq!(paths.checks, CHECKS_MAX);
        assert!(paths.dead_end().is_some());
    }
}
