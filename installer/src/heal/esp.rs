//! What should be on an EFI system partition, what is wrong with one, and where the right bytes are. Pure.
//!
//! The signed manifests say what the release's files are; the inventory says so for the rest (menus, marks). A file is
//! copied only from where it has the digest that it should have, so damage never spreads.

use std::collections::BTreeMap;

use maekin_image::esp;
use maekin_image::grubenv::GrubEnv;
use maekin_image::manifest::{Manifest, sha256_hex};
use uuid::Uuid;

/// Path to SHA-256.
pub type Digests = BTreeMap<String, String>;

/// An EFI system partition as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EspSeen {
    /// Its inventory, where it can be read.
    pub inventory: Option<Digests>,
    /// Digests of those of the files asked for that are there.
    pub digests: Digests,
    /// Its GRUB environment block.
    pub env: Option<GrubEnv>,
    /// Its menu.
    pub menu: Option<String>,
    /// Why it could not be looked at; then the rest is empty.
    pub unreadable: Option<String>,
}

/// What should be on every EFI system partition of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Every file but the inventory and GRUB's environment block.
    pub files: Digests,
    /// Contents that need no source.
    pub texts: BTreeMap<String, Vec<u8>>,
    /// The environment block.
    pub env: GrubEnv,
}

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Path on the ESP.
    pub path: String,
    /// What it has to be.
    pub sha256: String,
    /// Where it comes from.
    pub from: From,
}

/// Where the right bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// In the plan.
    Text(Vec<u8>),
    /// On the ESP of this place, under this path.
    Esp(u8, String),
}

/// What the node knows without looking at an ESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known<'a> {
    /// The installation.
    pub install: Uuid,
    /// The node's name.
    pub hostname: &'a str,
    /// On how many drives it is to be.
    pub drives: usize,
    /// The slot that runs.
    pub slot: &'a str,
    /// Verified manifests with their bytes and signatures, by slot.
    pub releases: &'a BTreeMap<String, (Manifest, Vec<u8>, String)>,
}

/// Paths to look at: all that an inventory or a manifest names.
#[must_use]
pub fn paths(inventory: Option<&Digests>, known: &Known<'_>) -> Vec<String> {
    let mut paths: Vec<String> = inventory.into_iter().flatten().map(|(path, _)| path.clone()).collect();
    paths.extend(of_releases(known).into_keys());
    paths.extend([esp::GRUB_STUB, esp::GRUB_MENU, esp::INSTALLED, esp::INVENTORY].map(str::to_owned));
    paths.sort();
    paths.dedup();
    paths.retain(|path| path != esp::GRUB_ENV);
    paths
}

/// What the manifests say: one digest for a slot's own files, one or several for the loaders, which belong to either.
fn of_releases(known: &Known<'_>) -> BTreeMap<String, Vec<String>> {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // The running slot's come first: where a loader is neither, it becomes this one.
    let mut slots: Vec<&String> = known.releases.keys().collect();
    slots.sort_by_key(|slot| *slot != known.slot);
    for slot in slots {
        let (manifest, json, signature) = &known.releases[slot];
        let bundle = esp::bundle_files(manifest, slot).unwrap_or_default();
        for file in bundle.into_iter().chain(esp::commit_file(manifest)) {
            files.entry(file.path).or_default().push(file.entry.sha256);
        }
        for (path, bytes) in
            esp::manifest_paths(slot).into_iter().zip([json.as_slice(), signature.as_bytes()])
        {
            files.insert(path, vec![sha256_hex(bytes)]);
        }
    }
    files
}

/// What should be on each ESP; `good`: the one of the drive that is believed, `other`: the other one.
#[must_use]
pub fn wanted(known: &Known<'_>, good: Option<&EspSeen>, other: Option<&EspSeen>) -> Wanted {
    let both = || [good, other].into_iter().flatten();
    let inventory = both().find_map(|seen| seen.inventory.as_ref());
    let mut wanted = Wanted::default();
    let mut text = |path: &str, content: Vec<u8>| {
        wanted.files.insert(path.to_owned(), sha256_hex(&content));
        wanted.texts.insert(path.to_owned(), content);
    };
    text(esp::GRUB_STUB, esp::grub_stub().into());
    let menu = both().find_map(listed_menu).map(|menu| with_drives(menu, known.drives));
    text(esp::GRUB_MENU, menu.unwrap_or_else(|| esp::grub_menu(known.install, known.drives)).into_bytes());
    let mark = esp::installed(known.install, known.hostname).to_bytes();
    text(esp::INSTALLED, mark.map(|bytes| bytes.to_vec()).unwrap_or_default()); // an id and a host name always fit
    for (path, content) in known.releases.iter().flat_map(|(slot, (_, json, signature))| {
        esp::manifest_paths(slot).into_iter().zip([json.clone(), signature.clone().into_bytes()])
    }) {
        wanted.texts.insert(path, content);
    }
    // A stub or mark of another version is what the inventory says.
    for (path, sha256) in inventory.into_iter().flatten().filter(|(path, _)| *path != esp::GRUB_MENU) {
        wanted.files.insert(path.clone(), sha256.clone());
    }
    for (path, allowed) in of_releases(known) {
        let listed = wanted.files.get(&path).filter(|sha256| allowed.contains(sha256)).cloned();
        if let Some(sha256) = listed.or_else(|| allowed.first().cloned()) {
            wanted.files.insert(path, sha256);
        }
    }
    wanted.files.remove(esp::GRUB_ENV);
    wanted.files.remove(esp::INVENTORY);
    let env = both().find_map(|seen| seen.env.clone().filter(|env| slot(env).is_some()));
    wanted.env = env.unwrap_or_else(|| GrubEnv::booting(known.slot));
    wanted
}

/// The menu, where it is what the inventory says: it may be of another version than this program.
fn listed_menu(seen: &EspSeen) -> Option<&str> {
    let listed = seen.inventory.as_ref()?.get(esp::GRUB_MENU)?;
    seen.menu.as_deref().filter(|menu| sha256_hex(menu.as_bytes()) == *listed)
}

/// A menu that starts the node on `drives` drives.
fn with_drives(menu: &str, drives: usize) -> String {
    let word = |n: usize| format!(" maekin.drives={n} ");
    menu.replace(&word(3 - drives.clamp(1, 2)), &word(drives))
}

/// The slot that an environment block boots; `None`: it makes no sense.
fn slot(env: &GrubEnv) -> Option<&str> {
    env.get(maekin_image::grubenv::SLOT).filter(|slot| ["a", "b"].contains(slot))
}

impl Wanted {
    /// The inventory.
    #[must_use]
    pub fn inventory(&self) -> String {
        esp::inventory(&self.files)
    }

    /// What is missing or wrong on `seen`, in the order of paths; the environment block only where it is not one, or
    /// boots another slot.
    #[must_use]
    pub fn wrong(&self, seen: &EspSeen) -> Vec<String> {
        let mut wrong: Vec<String> = self
            .files
            .iter()
            .filter(|(path, sha256)| seen.digests.get(*path) != Some(*sha256))
            .map(|(path, _)| path.clone())
            .collect();
        if seen.inventory.as_ref() != Some(&self.files) {
            wrong.push(esp::INVENTORY.to_owned());
        }
        if seen.env.as_ref().is_none_or(|env| slot(env) != slot(&self.env)) {
            wrong.push(esp::GRUB_ENV.to_owned());
        }
        wrong
    }

    /// How each of `paths` is made right, from the contents known here or from any file of the right digest on an ESP.
    ///
    /// # Errors
    /// The paths that are right nowhere.
    pub fn copies(&self, paths: &[String], seen: &[(u8, &EspSeen)]) -> Result<Vec<Copy>, Vec<String>> {
        let mut lost = Vec::new();
        let mut copies = Vec::new();
        for path in paths {
            match self.copy(path, seen) {
                Some(copy) => copies.push(copy),
                None => lost.push(path.clone()),
            }
        }
        if lost.is_empty() { Ok(copies) } else { Err(lost) }
    }

    fn copy(&self, path: &str, seen: &[(u8, &EspSeen)]) -> Option<Copy> {
        let text = |content: Vec<u8>| Copy {
            path: path.to_owned(),
            sha256: sha256_hex(&content),
            from: From::Text(content),
        };
        if path == esp::INVENTORY {
            return Some(text(self.inventory().into_bytes()));
        }
        if path == esp::GRUB_ENV {
            return self.env.to_bytes().ok().map(|bytes| text(bytes.to_vec()));
        }
        let sha256 = self.files.get(path)?;
        if let Some(content) = self.texts.values().find(|content| sha256_hex(content) == *sha256) {
            return Some(text(content.clone()));
        }
        let same = |(place, esp): &(u8, &EspSeen)| {
            let found = esp.digests.iter().find(|(_, have)| *have == sha256)?;
            Some(From::Esp(*place, found.0.clone()))
        };
        let from = seen.iter().find_map(same)?;
        Some(Copy { path: path.to_owned(), sha256: sha256.clone(), from })
    }
}

#[cfg(test)]
mod tests;
