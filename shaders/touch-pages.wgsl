// touch-pages: writes one word of every page of a buffer, so that a software adapter's memory is there before it is filled.
//
// math       out[1024 i] = 0
// shapes     out: any number of words
// dtypes     32-bit words
// bindings   0 out
// dispatch   one thread per 1,024 words (4 KiB) in workgroups of 8, folded over x and y
// error      exact
// why        an operating system gives a page when it is first written, and copies to the GPU are one thread's work: without
//            this, loading waits for one core to get every page
const PAGE: u32 = 1024u;

@group(0) @binding(0) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = ((group.y * groups.x + group.x) * 8u + lane) * PAGE;
  if (at < arrayLength(&out)) {
    out[at] = 0u;
  }
}
