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
    for path in ["maekin/a/vmlinuz", "maekin/a/manifest.json.minisig", esp::FALLBACK_LOADER, esp::INSTALLED] {
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
        ("menu", spoil(esp::GRUB_MENU), esp::GRUB_MENU, From::Text(esp::grub_menu(known.install, 2).into())),
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
