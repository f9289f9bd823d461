//! A virtual machine of KVM with one processor, whose memory is a [`MappedRegion`]: what a monitor has to do to have its
//! guests moved by [`sojourn`].
//!
//! ```text
//!   MappedRegion ── memory of the guest, noted and served by the kernel
//!   Processor    ── stop: registers · load · go · end          (sojourn::mapped::Occupant)
//! ```
//!
//! The guest needs no firmware and no kernel: its program adds one to a number in each page of its memory, over and
//! over, and tells the monitor of each round. So it can be checked at any time that no page was lost, and none is old.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use libc::{EAGAIN, EINTR, siginfo_t};
use linux::PAGE_SIZE;
use linux::region::MappedRegion;
use sojourn::mapped::Occupant;
use sojourn::subject::SubjectError;
use vmm_sys_util::signal::{Killable, SIGRTMIN, register_signal_handler};

/// Where the program stands, as an address of the guest.
const ENTRY: u64 = 0x1000;

/// The first page that is counted in; those before it hold the program.
pub const FIRST_PAGE: u64 = 4;

/// Where the program says how many rounds it has made: a port.
const ROUNDS_PORT: u16 = 0x10;

/// The program, for 32-bit protected mode: `esi` is the first address to count at, `edi` the first behind, `ecx` counts
/// rounds.
const PROGRAM: [u8; 19] = [
    0x89, 0xf3, // round: mov ebx, esi
    0xff, 0x03, // page: inc dword [ebx]
    0x81, 0xc3, 0x00, 0x10, 0x00, 0x00, // add ebx, 1000h
    0x39, 0xfb, // cmp ebx, edi
    0x72, 0xf4, // jb page
    0x41, // inc ecx
    0xe7, 0x10, // out 10h, eax
    0xeb, 0xed, // jmp round
];

/// How often the signal is sent that gets the processor out of the guest, until it has: it may come just before the
/// processor enters.
const AGAIN: Duration = Duration::from_micros(200);

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(30);

/// How long it may take. Where the kernel itself waits for a page of the guest, no signal ends that.
const PATIENCE: Duration = Duration::from_secs(5);

fn system(error: impl std::fmt::Display) -> SubjectError {
    SubjectError::System(error.to_string())
}

/// What a processor is asked for.
enum Request {
    Stop(Sender<Result<Vec<u8>, String>>),
    Load(Vec<u8>, Sender<Result<(), String>>),
    Go,
    End,
}

/// What the monitor and the thread of the processor share.
#[derive(Debug, Default)]
struct Shared {
    /// The processor is to come out of the guest.
    wanted: AtomicBool,
    rounds: AtomicU32,
    /// Why it can work no more.
    broken: Mutex<Option<String>>,
}

/// The processor of a guest, in a thread of its own. Clones are the same processor.
#[derive(Clone)]
pub struct Processor {
    region: Arc<MappedRegion>,
    shared: Arc<Shared>,
    requests: Sender<Request>,
    thread: Arc<JoinHandle<()>>,
}

impl Processor {
    /// A processor that stands at the beginning of the program, stopped. The memory of the guest is the region.
    ///
    /// # Errors
    /// There is no KVM here, or it may not be used.
    pub fn new(region: &Arc<MappedRegion>) -> Result<Self, SubjectError> {
        static HANDLER: Once = Once::new();
        HANDLER.call_once(|| {
            if let Err(error) = register_signal_handler(SIGRTMIN(), nothing) {
                eprintln!("a processor may not come out of its guest: {error}");
            }
        });
        let machine = Kvm::new()
            .and_then(|kvm| kvm.create_vm())
            .map_err(|error| SubjectError::Unbuildable(format!("a virtual machine of KVM: {error}")))?;
        let memory = kvm_userspace_memory_region {
            slot: 0,
            guest_phys_addr: 0,
            memory_size: region.range().len(),
            userspace_addr: region.range().start,
            flags: 0,
        };
        // SAFETY: the region lives as long as the machine, since the thread of the processor has both; that others write to
        // its memory is what it is for.
        unsafe { machine.set_user_memory_region(memory) }.map_err(system)?;
        let processor = machine.create_vcpu(0).map_err(system)?;
        processor.set_sregs(&flat(processor.get_sregs().map_err(system)?)).map_err(system)?;
        let start = kvm_regs {
            rip: ENTRY,
            rflags: 2,
            rsi: FIRST_PAGE * PAGE_SIZE,
            rdi: region.range().len(),
            ..kvm_regs::default()
        };
        processor.set_regs(&start).map_err(system)?;
        let shared = Arc::<Shared>::default();
        let (requests, heard) = channel();
        let core =
            Core { processor, _machine: machine, _region: Arc::clone(region), shared: Arc::clone(&shared) };
        let thread = std::thread::spawn(move || core.obey(&heard));
        Ok(Self { region: Arc::clone(region), shared, requests, thread: Arc::new(thread) })
    }

    /// Puts the program into the memory of a guest that does not work yet.
    ///
    /// # Panics
    /// If there are no pages to count in.
    pub fn write_program(region: &MappedRegion) {
        assert!(region.range().len() > FIRST_PAGE * PAGE_SIZE, "a guest needs more pages than its program");
        for (at, byte) in PROGRAM.iter().enumerate() {
            // SAFETY: within the region, as just seen.
            unsafe { region.as_ptr().add(ENTRY as usize + at).write_volatile(*byte) };
        }
    }

    /// Rounds that the program has told of here.
    pub fn rounds(&self) -> u32 {
        self.shared.rounds.load(Ordering::SeqCst)
    }

    /// Why it can work no more, if it cannot.
    pub fn broken(&self) -> Option<String> {
        self.shared.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is counted in each page. Meant for a guest that is stopped and has all its pages.
    ///
    /// # Errors
    /// A page is not there.
    pub fn counted(&self) -> Result<Vec<u32>, SubjectError> {
        let pages = self.region.range().pages();
        let mut bytes = [0; PAGE_SIZE as usize];
        pages
            .skip(FIRST_PAGE as usize)
            .map(|page| {
                self.region.read(page, &mut bytes).map_err(system)?;
                Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            })
            .collect()
    }

    fn ask(&self, request: Request) -> Result<(), SubjectError> {
        self.requests.send(request).map_err(|_| system("the processor has ended"))
    }

    /// Gets the processor out of the guest until this has come about.
    fn interrupt<T>(&self, mut come_about: impl FnMut() -> Option<T>) -> Option<T> {
        let begun = Instant::now();
        self.shared.wanted.store(true, Ordering::SeqCst);
        loop {
            if let Some(done) = come_about() {
                return Some(done);
            }
            if begun.elapsed() > PATIENCE {
                self.shared.wanted.store(false, Ordering::SeqCst);
                return None;
            }
            // One that has ended since needs no signal.
            let _ = self.thread.kill(SIGRTMIN());
            std::thread::sleep(AGAIN);
        }
    }
}

/// That it comes is all that is needed of the signal.
extern "C" fn nothing(_: i32, _: *mut siginfo_t, _: *mut c_void) {}

impl Occupant for Processor {
    fn stop(&mut self) -> Result<Vec<u8>, SubjectError> {
        let (reply, answer) = channel();
        self.ask(Request::Stop(reply))?;
        let said = self.interrupt(|| match answer.try_recv() {
            Ok(said) => Some(said),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err("the processor has ended".to_owned())),
        });
        said.unwrap_or_else(|| Err("the processor does not come out of its guest".to_owned())).map_err(system)
    }

    fn load(&mut self, state: &[u8]) -> Result<(), SubjectError> {
        let (reply, answer) = channel();
        self.ask(Request::Load(state.to_vec(), reply))?;
        answer.recv().map_err(system)?.map_err(SubjectError::Unfit)
    }

    fn go(&mut self) -> Result<(), SubjectError> {
        self.ask(Request::Go)
    }

    fn end(&mut self) {
        if self.ask(Request::End).is_ok() {
            self.interrupt(|| self.thread.is_finished().then_some(()));
        }
    }
}

/// What the thread of a processor has. The machine is dropped before the region that is its memory.
struct Core {
    processor: VcpuFd,
    _machine: VmFd,
    _region: Arc<MappedRegion>,
    shared: Arc<Shared>,
}

impl Core {
    fn obey(mut self, requests: &Receiver<Request>) {
        let mut goes = false;
        loop {
            let request = match goes {
                true => requests.try_recv(),
                false => requests.recv().map_err(|_| TryRecvError::Disconnected),
            };
            match request {
                Err(TryRecvError::Empty) => {
                    if let Err(broken) = self.run() {
                        *self.shared.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(broken);
                        goes = false;
                    }
                }
                Ok(Request::Go) => goes = true,
                Ok(Request::Stop(reply)) => {
                    goes = false;
                    let state = self.state();
                    self.shared.wanted.store(false, Ordering::SeqCst);
                    // Who does not wait for it any more has given up.
                    if reply.send(state).is_err() {
                        goes = true;
                    }
                }
                Ok(Request::Load(state, reply)) => {
                    let _ = reply.send(self.load(&state));
                }
                Ok(Request::End) | Err(TryRecvError::Disconnected) => return,
            }
        }
    }

    /// Runs the guest until it says something, or a signal comes.
    fn run(&mut self) -> Result<(), String> {
        while !self.shared.wanted.load(Ordering::SeqCst) {
            match self.processor.run() {
                Ok(VcpuExit::IoOut(ROUNDS_PORT, _)) => {
                    self.shared.rounds.fetch_add(1, Ordering::SeqCst);
                    self.pause();
                }
                Ok(other) => return Err(format!("the guest did what it should not: {other:?}")),
                Err(error) if error.errno() == EINTR || error.errno() == EAGAIN => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// The guest has nothing to do for a while, so that a copy that never ends is in step with it at times.
    fn pause(&self) {
        let begun = Instant::now();
        while begun.elapsed() < PAUSE && !self.shared.wanted.load(Ordering::SeqCst) {
            std::thread::sleep(AGAIN);
        }
    }

    /// The registers, after what the processor is in the middle of.
    fn state(&mut self) -> Result<Vec<u8>, String> {
        self.processor.set_kvm_immediate_exit(1);
        let completed = self.processor.run().map(|exit| format!("{exit:?}"));
        self.processor.set_kvm_immediate_exit(0);
        match completed {
            Err(error) if error.errno() == EINTR => {}
            Err(error) => return Err(error.to_string()),
            Ok(exit) => return Err(format!("the guest did what it should not: {exit}")),
        }
        let text = |error: kvm_ioctls::Error| error.to_string();
        let registers = (self.processor.get_regs().map_err(text)?, self.processor.get_sregs().map_err(text)?);
        postcard::to_stdvec(&registers).map_err(|error| error.to_string())
    }

    fn load(&mut self, state: &[u8]) -> Result<(), String> {
        let text = |error: kvm_ioctls::Error| error.to_string();
        let (registers, special): (kvm_regs, kvm_sregs) =
            postcard::from_bytes(state).map_err(|error| error.to_string())?;
        self.processor.set_sregs(&special).map_err(text)?;
        self.processor.set_regs(&registers).map_err(text)
    }
}

/// 32-bit protected mode without paging, all segments being all of memory.
fn flat(mut registers: kvm_sregs) -> kvm_sregs {
    let data = kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector: 2 << 3,
        type_: 3,
        present: 1,
        dpl: 0,
        db: 1,
        s: 1,
        l: 0,
        g: 1,
        ..kvm_segment::default()
    };
    registers.cs = kvm_segment { selector: 1 << 3, type_: 11, ..data };
    (registers.ds, registers.es, registers.fs, registers.gs, registers.ss) = (data, data, data, data, data);
    // Protected mode.
    registers.cr0 |= 1;
    registers
}
