import { defineConfig } from 'vitest/config';

const timed = 'test/**/*.timed.test.ts';

export default defineConfig({
  test: {
    // One process per file: dawn.node must not be used from worker threads, and a device lives as long as its process.
    pool: 'forks',
    // SwiftShader and a cold lavapipe compile a kernel in seconds.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Processes start within a second only where nothing else runs.
    expect: { poll: { timeout: 20_000 } },
    reporters: ['default', './test/support/summary-reporter.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'tests',
          include: ['test/**/*.test.ts'],
          exclude: [timed],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        // Clocks are read when nothing else runs: after all others, one file after the other.
        test: { name: 'timed', include: [timed], maxWorkers: 1, fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
