//! Machines of a rack: those that fetch the image, and one that lies.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use maekin_image::chunks::ChunkList;
use maekin_swarm::bitmap::Bitmap;
use maekin_swarm::client::{FetchError, Options, Seeder, fetch};
use maekin_swarm::server::Server;
use maekin_swarm::store::Image;
use maekin_swarm::wire::Report;

use crate::rig::{HTTP, Rack, address, request};

/// How a fetch ended.
pub(crate) type Fetched = Result<Seeder, FetchError>;

fn empty(path: &Path, list: ChunkList, digest: &str) -> Arc<Image> {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
    Arc::new(Image::new(list, digest, Box::new(file.expect("a file"))))
}

/// Begins to fetch the image at machine `n`; `moved` is told bytes.
pub(crate) fn begin(rack: &Rack, n: usize, mut moved: impl FnMut(u64) + Send + 'static) -> Receiver<Fetched> {
    let image = empty(&rack.disk(n), rack.list(), &rack.digest());
    let mut options = Options::new(vec![HTTP.to_owned()], Some(address(n).into()), n as u64 + 1);
    options.patience = Duration::from_secs(20);
    rack.machines[n].start(move || fetch(&image, &options, &mut moved))
}

/// Announces machine `n` as one that has everything, and serves something else.
pub(crate) fn lie(rack: &Rack, n: usize) -> Server {
    let other: Vec<u8> = rack.image.iter().map(|b| !b).collect();
    let list = ChunkList::of(&other[..], rack.list().chunk()).expect("a list");
    let image = empty(&rack.disk(n), list.clone(), "another");
    for index in 0..list.count() {
        let (from, len) = list.place(index).expect("a chunk");
        let from = usize::try_from(from).expect("small");
        assert!(image.put(index, other[from..from + len].to_vec()).expect("a disk"));
    }
    let digest = rack.digest();
    rack.machines[n].run(move || {
        let listener = TcpListener::bind((address(n), 0)).expect("a port");
        let server = Server::start(listener, image, Box::new(|_, _| ())).expect("a server");
        let report = Report {
            image: digest,
            port: server.address().port(),
            have: Bitmap::full(list.count()).hex(),
            coming: String::new(),
            stuck: false,
            liars: Vec::new(),
        };
        let body = serde_json::to_string(&report).expect("JSON");
        assert_eq!(request("POST /swarm/announce", &body).0, 200);
        server
    })
}
