// A process that is there and never says that it is ready.
setInterval(() => undefined, 1000);
process.on('disconnect', () => process.exit(0));
