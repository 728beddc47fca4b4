//! The modules that a VM's kernel needs, each behind those that it depends on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use super::{VmError, decompress::Format};
use crate::debian::ArchiveError;

/// Those without which no command is run.
const NEEDED: [&str; 6] = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "tun"];

/// Those that a command may want, where the kernel has them: what vhost, links, bridges, impairments and
/// mirrors are made of.
const WANTED: [&str; 13] = [
    "vhost_net",
    "veth",
    "bridge",
    "dummy",
    "8021q",
    "sch_ingress",
    "sch_netem",
    "act_mirred",
    "act_gact",
    "cls_bpf",
    "cls_matchall",
    "cls_u32",
    "af_packet_diag",
];

/// What a set of modules is made of, on one line: another one makes another set.
pub(super) fn recipe() -> String {
    [&NEEDED[..], &WANTED[..]].concat().join(" ")
}

/// A module, ready to be loaded.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) name: String,
    pub(super) data: Vec<u8>,
}

/// The modules below a folder, as a distribution ships them: `NAME.ko`, `NAME.ko.xz` or `NAME.ko.zst`.
/// `depmod` has not run, so that each is asked itself what it depends on.
#[derive(Debug)]
pub(super) struct Modules {
    files: BTreeMap<String, PathBuf>,
    /// Those that are in the kernel itself; none where nothing says which they are, as since Debian's
    /// 7.2: then every module that has no file may be.
    built_in: Option<BTreeSet<String>>,
}

impl Modules {
    /// Those of `/lib/modules/RELEASE`.
    pub(super) fn below(folder: &Path) -> Result<Self, VmError> {
        let failed = |error| ArchiveError::file(folder, error);
        let mut files = BTreeMap::new();
        collect(folder, &mut files).map_err(failed)?;
        let built_in = match fs::read_to_string(folder.join("modules.builtin")) {
            Ok(list) => Some(list.lines().filter_map(|line| name_of(Path::new(line))).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error).into()),
        };
        Ok(Self { files, built_in })
    }

    /// All that a VM needs, in the order in which they are loaded; and the names of those that would be
    /// of use and are not there.
    pub(super) fn closure(&self) -> Result<(Vec<Module>, Vec<&'static str>), VmError> {
        let mut found = Vec::new();
        for name in NEEDED {
            self.add(name, &mut found)?;
        }
        let has = |name: &&str| self.files.contains_key(*name) || self.is_built_in(name);
        let (wanted, missing) = WANTED.into_iter().partition::<Vec<_>, _>(has);
        for name in wanted {
            self.add(name, &mut found)?;
        }
        Ok((found, missing))
    }

    fn is_built_in(&self, name: &str) -> bool {
        self.built_in.as_ref().is_none_or(|built_in| built_in.contains(name))
    }

    fn add(&self, name: &str, found: &mut Vec<Module>) -> Result<(), VmError> {
        let is_there = found.iter().any(|module| module.name == name);
        if is_there {
            return Ok(());
        }
        let Some(path) = self.files.get(name) else {
            let missing = || VmError::NoModule(name.to_owned());
            return self.is_built_in(name).then_some(()).ok_or_else(missing);
        };
        let data = fs::read(path).map_err(|error| ArchiveError::file(path, error))?;
        let data = match Format::of(&data) {
            Some(format) => format.expand(&data)?,
            None => data,
        };
        for other in depends(&data) {
            self.add(&other, found)?;
        }
        found.push(Module { name: name.to_owned(), data });
        Ok(())
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            collect(&path, files)?;
        } else if let Some(name) = kind.is_file().then(|| name_of(&path)).flatten() {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// The name of the module in a file. Modules are named without dashes, their files with them too.
fn name_of(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (name, end) = file.split_once(".ko")?;
    ["", ".xz", ".zst", ".gz"].contains(&end).then(|| name.replace('-', "_"))
}

/// The modules that a module says it needs: `depends=A,B` in its section `.modinfo`, which holds texts
/// with a NUL between them (Linux `scripts/mod/modpost.c`, `add_depends`).
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let rest = &module[at + KEY.len()..];
    let text = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(depends: &str) -> Vec<u8> {
        format!("\x7fELF...license=GPL\0depends={depends}\0name=x\0").into_bytes()
    }

    /// A kernel with all that is needed, of which some is built in.
    fn kernel(folder: &Path) {
        let drivers = folder.join("kernel/drivers/net");
        fs::create_dir_all(&drivers).unwrap();
        fs::write(folder.join("modules.builtin"), "kernel/fs/9p/9p.ko\nkernel/x/virtio_pci.ko\n")
            .unwrap();
        for (file, needs) in [
            ("virtio_console.ko", ""),
            ("9pnet_virtio.ko", "9pnet"),
            ("9pnet.ko", ""),
            ("overlay.ko", ""),
            ("tun.ko", ""),
            ("vhost-net.ko", "vhost,tun,vhost_iotlb"),
            ("vhost.ko", "vhost_iotlb"),
            ("vhost-iotlb.ko", ""),
        ] {
            fs::write(drivers.join(file), module(needs)).unwrap();
        }
    }

    #[test]
    fn each_comes_behind_what_it_needs_and_once() {
        let folder = tempfile::tempdir().unwrap();
        kernel(folder.path());
        let (modules, missing) = Modules::below(folder.path()).unwrap().closure().unwrap();
        let names: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
        let expected = [
            "virtio_console",
            "9pnet",
            "9pnet_virtio",
            "overlay",
            "tun",
            "vhost_iotlb",
            "vhost",
            "vhost_net",
        ];
        assert_eq!(names, expected);
        assert!(missing.contains(&"veth") && !missing.contains(&"vhost_net"));
    }

    #[test]
    fn a_compressed_module_is_loaded_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        kernel(folder.path());
        let path = folder.path().join("kernel/drivers/net/tun.ko");
        let status = std::process::Command::new("xz").arg(&path).status().unwrap();
        assert!(status.success() && !path.exists());
        let (modules, _) = Modules::below(folder.path()).unwrap().closure().unwrap();
        let tun = modules.iter().find(|found| found.name == "tun").unwrap();
        assert_eq!(tun.data, module(""));
    }

    #[test]
    fn a_kernel_without_what_is_needed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        kernel(folder.path());
        fs::remove_file(folder.path().join("kernel/drivers/net/9pnet.ko")).unwrap();
        let error = Modules::below(folder.path()).unwrap().closure().unwrap_err().to_string();
        assert!(error.contains("9pnet"), "{error}");
    }

    #[test]
    fn without_a_list_what_has_no_file_is_in_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        kernel(folder.path());
        fs::remove_file(folder.path().join("modules.builtin")).unwrap();
        let (modules, missing) = Modules::below(folder.path()).unwrap().closure().unwrap();
        assert!(modules.iter().any(|module| module.name == "vhost_net"));
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn names_are_those_of_modules() {
        let name = |path: &str| name_of(Path::new(path));
        assert_eq!(name("kernel/net/sched/cls_u32.ko.zst").as_deref(), Some("cls_u32"));
        assert_eq!(name("a/vhost-net.ko").as_deref(), Some("vhost_net"));
        assert_eq!(name("modules.dep"), None);
        assert_eq!(name("a/x.ko.bak"), None);
    }
}
