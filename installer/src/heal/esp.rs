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
mod tests {
    use super::*;
    use crate::plan::tests::manifest;

    fn releases() -> BTreeMap<String, (Manifest, Vec<u8>, String)> {
        let mut manifest = manifest();
        // The fixture gives all files one digest; here they must differ.
        for (path, entry) in &mut manifest.files {
            entry.sha256 = sha256_hex(path.as_bytes());
        }
        BTreeMap::from([("a".to_owned(), (manifest, b"{}".to_vec(), "sig".to_owned()))])
    }

    fn known(releases: &BTreeMap<String, (Manifest, Vec<u8>, String)>) -> Known<'_> {
        Known { install: Uuid::from_u128(7), hostname: "node-1", drives: 2, slot: "a", releases }
    }

    /// An ESP on which all is right.
    fn whole(known: &Known<'_>) -> EspSeen {
        let wanted = wanted(known, None, None);
        EspSeen {
            inventory: Some(wanted.files.clone()),
            digests: wanted.files,
            env: Some(GrubEnv::booting("a")),
            menu: Some(esp::grub_menu(known.install, known.drives)),
            unreadable: None,
        }
    }

    #[test]
    fn a_fresh_installation_is_what_is_wanted() {
        let releases = releases();
        let known = known(&releases);
        let esp = whole(&known);
        let wanted = wanted(&known, Some(&esp), Some(&esp));
        assert_eq!(wanted.wrong(&esp), Vec::<String>::new());
        for path in
            ["maekin/a/vmlinuz", "maekin/a/manifest.json.minisig", esp::FALLBACK_LOADER, esp::INSTALLED]
        {
            assert!(wanted.files.contains_key(path), "{path}");
        }
        assert!(!wanted.files.contains_key(esp::GRUB_ENV));
    }

    #[test]
    fn damage_is_found_and_mended_from_wherever_the_bytes_are_right() {
        let releases = releases();
        let known = known(&releases);
        let good = whole(&known);
        let spoil = |path: &str| {
            let mut bad = good.clone();
            bad.digests.insert(path.to_owned(), "0".repeat(64));
            bad
        };
        let from_other = |path: &str| From::Esp(0, path.to_owned());
        let rows: Vec<(&str, EspSeen, &str, From)> = vec![
            ("kernel", spoil("maekin/a/vmlinuz"), "maekin/a/vmlinuz", from_other("maekin/a/vmlinuz")),
            (
                "menu",
                spoil(esp::GRUB_MENU),
                esp::GRUB_MENU,
                From::Text(esp::grub_menu(known.install, 2).into()),
            ),
            (
                "no inventory",
                EspSeen { inventory: None, ..good.clone() },
                esp::INVENTORY,
                From::Text(wanted(&known, None, None).inventory().into()),
            ),
            (
                "no environment",
                EspSeen { env: None, ..good.clone() },
                esp::GRUB_ENV,
                From::Text(GrubEnv::booting("a").to_bytes().unwrap().to_vec()),
            ),
            (
                "the other slot",
                EspSeen { env: Some(GrubEnv::booting("b")), ..good.clone() },
                esp::GRUB_ENV,
                From::Text(GrubEnv::booting("a").to_bytes().unwrap().to_vec()),
            ),
        ];
        for (name, bad, path, from) in rows {
            let wanted = wanted(&known, Some(&good), Some(&bad));
            assert_eq!(wanted.wrong(&bad), [path], "{name}");
            let copies = wanted.copies(&wanted.wrong(&bad), &[(1, &bad), (0, &good)]).unwrap();
            assert_eq!(copies[0].from, from, "{name}");
        }
        // A trial that was started from one drive only is no damage.
        let mut trial = GrubEnv::booting("a");
        trial.set("trial", "b");
        assert!(
            wanted(&known, Some(&good), None).wrong(&EspSeen { env: Some(trial), ..good.clone() }).is_empty()
        );
    }

    #[test]
    fn a_loader_is_mended_from_its_other_copies_on_the_same_drive() {
        let releases = releases();
        let known = known(&releases);
        let mut alone = whole(&known);
        alone.digests.remove(esp::FALLBACK_LOADER);
        let wanted = wanted(&known, Some(&alone), None);
        let copies = wanted.copies(&wanted.wrong(&alone), &[(0, &alone)]).unwrap();
        assert_eq!(copies.len(), 1);
        assert_eq!(copies[0].from, From::Esp(0, "EFI/debian/shimx64.efi".to_owned()));
    }

    #[test]
    fn what_is_damaged_on_both_is_named_and_not_made_up() {
        let releases = releases();
        let known = known(&releases);
        let mut bad = whole(&known);
        bad.digests.insert("maekin/a/initrd".to_owned(), "0".repeat(64));
        let wanted = wanted(&known, Some(&bad), Some(&bad));
        let lost = wanted.copies(&wanted.wrong(&bad), &[(0, &bad), (1, &bad)]).unwrap_err();
        assert_eq!(lost, ["maekin/a/initrd"]);
    }

    #[test]
    fn an_inventory_that_contradicts_the_manifest_is_not_believed() {
        let releases = releases();
        let known = known(&releases);
        let mut forged = whole(&known);
        let other = sha256_hex(b"another kernel");
        forged.digests.insert("maekin/a/vmlinuz".to_owned(), other.clone());
        forged.inventory.as_mut().unwrap().insert("maekin/a/vmlinuz".to_owned(), other);
        let wanted = wanted(&known, Some(&forged), None);
        assert_eq!(wanted.wrong(&forged), ["maekin/a/vmlinuz", esp::INVENTORY]);
    }

    #[test]
    fn the_menu_follows_the_count_of_drives() {
        let releases = releases();
        let one = Known { drives: 1, ..known(&releases) };
        let esp = whole(&one);
        let wanted = wanted(&known(&releases), Some(&esp), None);
        assert_eq!(wanted.wrong(&esp), [esp::GRUB_MENU, esp::INVENTORY]);
        assert_eq!(wanted.texts[esp::GRUB_MENU], esp::grub_menu(one.install, 2).into_bytes());
        // The menu of another version stays, but for the count.
        let mut older = esp;
        let menu = "linux x maekin.drives=1 y".to_owned();
        older.inventory.as_mut().unwrap().insert(esp::GRUB_MENU.to_owned(), sha256_hex(menu.as_bytes()));
        older.menu = Some(menu);
        let wanted = super::wanted(&known(&releases), Some(&older), None);
        assert_eq!(wanted.texts[esp::GRUB_MENU], b"linux x maekin.drives=2 y");
    }
}
