import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // One process per file: dawn.node must not be used from worker threads, and a device lives as long as its process.
    pool: 'forks',
    maxWorkers: 2,
    // SwiftShader and a cold lavapipe compile a kernel in seconds.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default', './test/support/summary-reporter.ts'],
  },
});
