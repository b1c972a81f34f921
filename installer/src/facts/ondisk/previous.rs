//! Who an installation by this product is: its node file, read out of the state file system inside its half of the
//! mirror. The half is neither assembled nor mounted, and its journal is replayed in memory only.

use std::error::Error;
use std::io;

use ext4_view::{Ext4, Ext4Read};
use maekin_rootfs::node::{ClusterIntent, NODE_FILE, NodeConfig};
use serde::Deserialize;

use super::bytes::Region;
use super::md;
use crate::facts::PreviousNode;

/// Where a member keeps its cluster's name, beside the node file.
const MEMBERSHIP: &str = "lib/maekin/membership.json";
/// Longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// The node whose state is in this partition; `None` where it cannot be told.
///
/// # Errors
/// The device's error.
pub fn read(region: Box<dyn Region>) -> io::Result<Option<PreviousNode>> {
    let Some(superblock) = md::read_v1(&*region)? else { return Ok(None) };
    let start = superblock.data_offset.saturating_mul(512);
    let fs = match Ext4::load(Box::new(Behind { region, start })) {
        Ok(fs) => fs,
        Err(e) => {
            tracing::info!("the state of an older installation cannot be read: {e}");
            return Ok(None);
        }
    };
    let file = |path: &str| {
        let path = format!("/{path}");
        let len = fs.metadata(path.as_str()).ok()?.len();
        (len <= LONGEST).then(|| fs.read_to_string(path.as_str()).ok())?
    };
    Ok(file(NODE_FILE).and_then(|node| parse(&node, file(MEMBERSHIP).as_deref())))
}

/// What the node file, and the file about its cluster where there is one, say. Both are from before the installation that
/// is being planned, so a node file of another version is taken as far as it is understood.
fn parse(node: &str, membership: Option<&str>) -> Option<PreviousNode> {
    #[derive(Deserialize)]
    struct Membership {
        cluster: String,
    }
    let (hostname, install_id, intent) = match toml::from_str::<NodeConfig>(node) {
        Ok(node) => (node.hostname, node.install_id, Some(node.cluster)),
        Err(_) => {
            let node: toml::Table = node.parse().ok()?;
            let text = |key: &str| node.get(key).and_then(toml::Value::as_str);
            (text("hostname")?.to_owned(), text("install_id")?.parse().ok()?, None)
        }
    };
    let member = membership.and_then(|text| serde_json::from_str::<Membership>(text).ok()).map(|m| m.cluster);
    let cluster = member.or(match intent {
        Some(ClusterIntent::Create { name }) => Some(name),
        _ => None,
    });
    Some(PreviousNode { hostname, cluster, install_id })
}

/// What begins `start` bytes into a region.
struct Behind {
    region: Box<dyn Region>,
    start: u64,
}

impl Ext4Read for Behind {
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut done = 0;
        while done < into.len() {
            let place = self.start.checked_add(at).and_then(|from| from.checked_add(done as u64));
            let bytes = self.region.read(place.ok_or("an offset past all bounds")?, into.len() - done)?;
            if bytes.is_empty() {
                return Err("past the end of the partition".into());
            }
            into[done..done + bytes.len()].copy_from_slice(&bytes);
            done += bytes.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
