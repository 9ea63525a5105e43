//! A folder of secrets as Kubernetes mounts one: the files are links into
//! `..data`, a link to the folder of one version, which is replaced at one go.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// Files by their names.
type Files = BTreeMap<String, Vec<u8>>;

/// The folder, and which version it shows.
pub struct Mount {
    folder: PathBuf,
    version: u32,
    good: Files,
}

impl Mount {
    /// Makes one of the files in a folder.
    pub fn new(folder: &Path) -> Mount {
        let entries = fs::read_dir(folder).unwrap();
        let files: Files = entries
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, fs::read(&path).unwrap())
            })
            .collect();
        for name in files.keys() {
            fs::remove_file(folder.join(name)).unwrap();
            symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
        }
        let mut mount = Mount {
            folder: folder.to_owned(),
            version: 0,
            good: files,
        };
        mount.swap(&[]);
        mount
    }

    /// A file of the last version that was not broken.
    pub fn file(&self, name: &str) -> &[u8] {
        &self.good[name]
    }

    /// Shows other versions of some files.
    pub fn swap(&mut self, changed: &[(&str, &[u8])]) {
        for (name, content) in changed {
            self.good.insert((*name).to_owned(), content.to_vec());
        }
        self.show(&self.good.clone());
    }

    /// Shows a version of which one file is broken.
    pub fn break_file(&mut self, name: &str, content: &[u8]) {
        let mut files = self.good.clone();
        files.insert(name.to_owned(), content.to_vec());
        self.show(&files);
    }

    fn show(&mut self, files: &Files) {
        self.version += 1;
        let new = self.folder.join(format!("..{}", self.version));
        fs::create_dir(&new).unwrap();
        for (name, content) in files {
            claude_grpc::secrets::write_private(&new.join(name), content).unwrap();
        }
        let link = self.folder.join("..data_tmp");
        symlink(new.file_name().unwrap(), &link).unwrap();
        fs::rename(&link, self.folder.join("..data")).unwrap();
    }
}
