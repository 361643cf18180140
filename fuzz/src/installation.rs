//! An installation below the build's prefix, which must be an empty tmpfs: nothing else on the host is touched.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use config::paths::PREFIX;
use config::{Config, Paths};
use spool::layout::{self, Owner};
use store::Store;

use crate::judge;

/// Configurations that a target chooses from; each is valid.
const CONFIGURATIONS: [&str; 4] = [
    "",
    "dot = \"strict\"\nt_arguments = \"remove\"\nsender_policy = \"own\"\nundisclosed_recipients = true\n",
    "dot = \"data\"\nsender_from_header = true\nadmin_address = \"admin@x.example\"\nmessage_size_limit = 2000\nrecipient_limit = 3\n",
    "unknown_local = \"reject\"\nmailname = \"other.example\"\nlocal_domains = [\"local.example\"]\nspool_error_exit = 75\n",
];

/// Everything that an alias file may hold.
const ALIASES: &str = "root: alice, bob@y.example\nalice: \\alice, carol\ncarol: alice\nlist: :include:/list\nnobody: /dev/null\n\
    run: \"|cat\"\nfile: /tmp/x\nbroken\n\"quoted name\": x\n*: catchall@x.example\n";

/// The installation of this process.
pub struct Installation {
    /// The spool, as the daemon opens it.
    pub store: Store,
    configurations: Vec<Config>,
    paths: Paths,
    current: usize,
}

impl Default for Installation {
    fn default() -> Self {
        let root = Path::new(PREFIX);
        let is_empty = fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none());
        assert!(is_empty, "{PREFIX} is not an empty directory: start the targets with fuzz/run");
        let paths = Paths::system(root);
        fs::create_dir_all(paths.config_file.parent().unwrap()).unwrap();
        fs::create_dir_all(&paths.spool).unwrap();
        fs::create_dir_all(&paths.run).unwrap();
        for directory in layout::DIRECTORIES {
            let path = directory.path(&paths.spool);
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(directory.mode)).unwrap();
        }
        fs::write(&paths.aliases, ALIASES).unwrap();
        fs::write(&paths.mailname, "m.example\n").unwrap();
        fs::write(&paths.config_file, "").unwrap();
        let owner = fs::metadata(&paths.spool).unwrap();
        let store = Store::open(&paths.spool, Owner { uid: owner.uid(), gid: owner.gid() }, false).unwrap();
        let parsed = |text: &&str| Config { paths: paths.clone(), params: config::parse(text.as_bytes(), Path::new("x")).unwrap() };
        Installation { store, configurations: CONFIGURATIONS.iter().map(parsed).collect(), paths, current: 0 }
    }
}

impl Installation {
    /// Makes the configuration that `choice` stands for the one that programs read.
    pub fn configure(&mut self, choice: u8) -> &Config {
        let choice = usize::from(choice) % CONFIGURATIONS.len();
        if self.current != choice {
            fs::write(&self.paths.config_file, CONFIGURATIONS[choice]).unwrap();
            self.current = choice;
        }
        &self.configurations[choice]
    }

    /// Judges and removes every file in the drop directory. Returns their names, sorted, and the messages.
    ///
    /// Panics where a file is not what the spool promises, or where something was left in `tmp/`.
    pub fn take(&self) -> Vec<(String, Vec<u8>)> {
        assert!(names(&self.store.path(layout::TMP)).is_empty(), "left behind in tmp/");
        let take = |name: String| {
            let path = self.store.path(layout::NEW).join(&name);
            let message = judge::spool_file(&self.store, &name, &fs::read(&path).unwrap());
            fs::remove_file(path).unwrap();
            (name, message)
        };
        names(&self.store.path(layout::NEW)).into_iter().map(take).collect()
    }
}

/// The names in a directory, sorted.
pub fn names(directory: &PathBuf) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
