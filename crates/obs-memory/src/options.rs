//! What a writer chooses.

/// How a file is made.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is made until `Memory::create` has them"]
pub struct Options {
    pub(crate) limit: u64,
    pub(crate) any_file_system: bool,
}

impl Default for Options {
    /// 64 MiB, on tmpfs only.
    fn default() -> Self {
        Self {
            limit: 64 << 20,
            any_file_system: false,
        }
    }
}

impl Options {
    /// The most bytes that the file may take, 1 MiB to 1 GiB. A quarter is for the directory. What is not used takes no memory.
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Whether the file may be on a disk, too. While the system writes a page back, recording to it may wait.
    pub fn any_file_system(mut self, any: bool) -> Self {
        self.any_file_system = any;
        self
    }
}
