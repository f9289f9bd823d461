//! What of a machine a process can depend on.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Doing, LinuxError, Result};

/// A machine, as far as processes can tell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HostFacts {
    /// As `uname -r` has it.
    pub kernel_release: String,
    /// Major and minor.
    pub kernel_version: (u32, u32),
    /// What the processor can do that programs use, by the kernel's names.
    pub processor_features: BTreeSet<String>,
    /// Which parts of the extended registers there are (XCR0).
    pub extended_features: u64,
    /// SHA-256 of the code that the kernel maps into every process.
    pub vdso: [u8; 32],
    /// The lengths of the kernel's own mappings, by name, in bytes.
    pub vvar_bytes: u64,
}

/// The oldest kernel with asynchronous write protection and `PAGEMAP_SCAN`.
pub const KERNEL_VERSION_MIN: (u32, u32) = (6, 7);

/// Instruction sets that a program chooses by asking the processor.
const INSTRUCTION_SETS: &[&str] = &[
    "sse3",
    "pni",
    "ssse3",
    "sse4_1",
    "sse4_2",
    "sse4a",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "bmi1",
    "bmi2",
    "adx",
    "aes",
    "pclmulqdq",
    "vaes",
    "vpclmulqdq",
    "sha_ni",
    "gfni",
    "popcnt",
    "movbe",
    "abm",
    "cx16",
    "rdrand",
    "rdseed",
    "rdpid",
    "rdtscp",
    "fsgsbase",
    "erms",
    "fsrm",
    "clflushopt",
    "clwb",
    "xsave",
    "xsaveopt",
    "xsavec",
    "avx_vnni",
    "avx512f",
    "avx512dq",
    "avx512ifma",
    "avx512cd",
    "avx512bw",
    "avx512vl",
    "avx512vbmi",
    "avx512_vbmi2",
    "avx512_vnni",
    "avx512_bitalg",
    "avx512_vpopcntdq",
    "avx512_vp2intersect",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
    "pku",
    "xop",
    "fma4",
    "tbm",
    "prefetchwt1",
    "hle",
    "rtm",
    "movdiri",
    "movdir64b",
    "serialize",
    "waitpkg",
];

impl HostFacts {
    /// This machine; read once and remembered.
    ///
    /// # Errors
    ///
    /// What the kernel says where `/proc` cannot be read.
    pub fn here() -> Result<Self> {
        static HERE: OnceLock<HostFacts> = OnceLock::new();
        match HERE.get() {
            Some(facts) => Ok(facts.clone()),
            None => {
                let facts = Self::read()?;
                Ok(HERE.get_or_init(|| facts).clone())
            }
        }
    }

    fn read() -> Result<Self> {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let mut numbers = release.split(['.', '-']).map_while(|part| part.parse().ok());
        let kernel_version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let (vdso, vvar_bytes) = own_vdso()?;
        Ok(Self {
            kernel_release: release,
            kernel_version,
            processor_features: processor_features()?,
            extended_features: extended_features(),
            vdso,
            vvar_bytes,
        })
    }

    /// What a process that ran on `self` would miss on `other`.
    pub fn missing_on<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> + 'a {
        self.processor_features.difference(&other.processor_features).map(String::as_str)
    }
}

fn processor_features() -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string("/proc/cpuinfo").doing(|| "read /proc/cpuinfo".to_owned())?;
    let flags = text.lines().find_map(|line| line.strip_prefix("flags")).unwrap_or_default();
    Ok(flags.split_whitespace().filter(|flag| INSTRUCTION_SETS.contains(flag)).map(str::to_owned).collect())
}

fn extended_features() -> u64 {
    #[target_feature(enable = "xsave")]
    fn read() -> u64 {
        // SAFETY: register 0 exists wherever the instruction does.
        unsafe { std::arch::x86_64::_xgetbv(0) }
    }
    if std::arch::is_x86_feature_detected!("xsave") {
        // SAFETY: the processor has the instruction.
        unsafe { read() }
    } else {
        3
    }
}

/// Hash of this process's vdso, and the bytes of the data mappings in front of it.
fn own_vdso() -> Result<([u8; 32], u64)> {
    let maps = std::fs::read_to_string("/proc/self/maps").doing(|| "read /proc/self/maps".to_owned())?;
    let mut vdso = None;
    let mut vvar_bytes = 0;
    for line in maps.lines() {
        let Some((start, end)) = line.split(' ').next().and_then(|range| range.split_once('-')) else {
            continue;
        };
        let (Ok(start), Ok(end)) = (u64::from_str_radix(start, 16), u64::from_str_radix(end, 16)) else {
            continue;
        };
        if line.ends_with("[vdso]") {
            vdso = Some((start, end));
        } else if line.contains("[vvar") {
            vvar_bytes += end - start;
        }
    }
    let (start, end) = vdso.ok_or_else(|| LinuxError::Unsupported("this machine maps no vdso".to_owned()))?;
    let mut bytes = vec![0; (end - start) as usize];
    let memory = std::fs::File::open("/proc/self/mem").doing(|| "open /proc/self/mem".to_owned())?;
    memory.read_exact_at(&mut bytes, start).doing(|| "read the vdso".to_owned())?;
    Ok((Sha256::digest(&bytes).into(), vvar_bytes))
}
