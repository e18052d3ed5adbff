// Monaco asks here for its workers. They are files of their own beside this script, so that the page's policy can be
// `worker-src 'self'`: Monaco's own fallback would start them from blob: addresses.

globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    const file = WORKER_FILES[label] ?? WORKER_FILES.editor;
    return new Worker(new URL(file, import.meta.url), { name: label });
  },
};
