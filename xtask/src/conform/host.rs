//! What the host says to a chardev that a command makes: who listens in the folder of the run, and where
//! nothing can be opened. The machine opens nothing itself.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

/// Unix sockets that listen: chardevs by their paths.
#[derive(Debug, Default)]
pub(super) struct Host {
    servers: BTreeMap<String, String>,
}

impl Host {
    pub(super) fn listen(&mut self, path: &str, chardev: &str) {
        self.servers.insert(path.to_owned(), chardev.to_owned());
    }

    /// The chardev is gone, and its path with it.
    pub(super) fn forget(&mut self, chardev: &str) {
        self.servers.retain(|_, other| other != chardev);
    }

    /// Why the chardev that a command made can't be, in QEMU's words; a server that can be listens.
    pub(super) fn open(&mut self, chardev: &str, backend: &Value) -> Result<(), String> {
        let data = &backend["data"];
        match backend["type"].as_str() {
            Some("file") => {
                let path = data["out"].as_str().unwrap_or_default();
                if has_folder(path) {
                    return Ok(());
                }
                Err(format!("Could not open '{path}': No such file or directory"))
            }
            Some("socket") => self.open_socket(chardev, data),
            _ => Ok(()),
        }
    }

    fn open_socket(&mut self, chardev: &str, data: &Value) -> Result<(), String> {
        let comes_back = ["reconnect", "reconnect-ms"];
        let comes_back = comes_back.iter().any(|name| data[name].as_u64().unwrap_or_default() > 0);
        let server = data["server"].as_bool().unwrap_or(true);
        let address = &data["addr"]["data"];
        match data["addr"]["type"].as_str() {
            Some("unix") => {
                let path = address["path"].as_str().unwrap_or_default();
                if server {
                    if !has_folder(path) {
                        return Err(format!(
                            "Failed to bind socket to {path}: No such file or directory"
                        ));
                    }
                    self.listen(path, chardev);
                } else if !comes_back && !self.servers.contains_key(path) {
                    return Err(format!(
                        "Failed to connect to '{path}': No such file or directory"
                    ));
                }
            }
            Some("inet") if !server && !comes_back => {
                let (host, port) = (&address["host"], &address["port"]);
                let (host, port) = (host.as_str().unwrap_or_default(), port.as_str());
                return Err(format!(
                    "Failed to connect to '{host}:{}': Connection refused",
                    port.unwrap_or_default()
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether the folder of a path is there: that of the run is, and has none in it.
fn has_folder(path: &str) -> bool {
    match Path::new(path).parent() {
        Some(folder) if path.starts_with('/') => folder.is_dir(),
        Some(folder) => folder.as_os_str().is_empty(),
        None => false,
    }
}
