/* Trees of a model as C: sums of leaves, and sums for rows that are mixed of two. build.py compiles it.

In:  arrays, whose type, length and content are checked when a Forest or a SymmetricForest is made of them.
Out: into arrays of the caller, whose type and length are checked at each call.

The same sums in NumPy are in tree_arrays.py and oblivious_trees.py. Nothing here may read outside of its arrays: a
node's children and column are checked once, and a tree with a circle is refused.
*/
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define MAX_GROUPS 16 /* of a mixture: its result has 2^16 values */
#define MAX_PARTS 255
#define MAX_DEPTH 10 /* of symmetric trees: 2^10 leaves on the stack */
#define ROWS 64      /* at once: they stay in the processor's cache */
#define LANES 8      /* rows that take a step together: one's memory is fetched while the others' is used */
#define TILE 16      /* columns that are turned together */
#define FEW 8        /* rows, up to which other threads wait: to let them in would take longer */

/* --- arrays of the caller ---------------------------------------------------------------------------------------- */

typedef struct {
    PyObject *object;
    const char *formats; /* any of them */
    Py_ssize_t item;
    int is_written;
    Py_buffer view;
    Py_ssize_t n;
} Array;

static void release(Array *arrays, int n) {
    for (int i = 0; i < n; i++)
        if (arrays[i].view.obj) PyBuffer_Release(&arrays[i].view);
}

/* Views of all arrays; on an error none is left. */
static int take(Array *arrays, int n) {
    for (int i = 0; i < n; i++) {
        Array *a = arrays + i;
        int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (a->is_written ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(a->object, &a->view, flags) < 0) {
            a->view.obj = NULL;
            release(arrays, i);
            return -1;
        }
        const char *format = a->view.format ? a->view.format : "B";
        if (strlen(format) != 1 || !strchr(a->formats, format[0]) || a->view.itemsize != a->item) {
            PyErr_Format(PyExc_TypeError, "array %d has the type %s", i, format);
            release(arrays, i + 1);
            return -1;
        }
        a->n = a->view.len / a->item;
    }
    return 0;
}

#define F32(o) {.object = (o), .formats = "f", .item = 4}
#define F64(o) {.object = (o), .formats = "d", .item = 8}
#define I32(o) {.object = (o), .formats = "il", .item = 4}
#define I64(o) {.object = (o), .formats = "lq", .item = 8}
#define U8(o) {.object = (o), .formats = "?B", .item = 1}
#define OUT_F64(o) {.object = (o), .formats = "d", .item = 8, .is_written = 1}
#define OUT_I64(o) {.object = (o), .formats = "lq", .item = 8, .is_written = 1}

static int refuse(Array *arrays, int n, const char *why) {
    PyErr_SetString(PyExc_ValueError, why);
    release(arrays, n);
    return -1;
}

/* A sum by sets of groups becomes a sum over the subsets of each set. */
#define SUM_SUBSETS(out, n_groups)                                    \
    for (int bit_ = 0; bit_ < (n_groups); bit_++)                     \
        for (uint32_t set_ = 0; set_ < (1u << (n_groups)); set_++)    \
            if (set_ >> bit_ & 1) (out)[set_] += (out)[set_ ^ (1u << bit_)];

/* --- trees whose nodes differ ------------------------------------------------------------------------------------- */

typedef struct {
    float threshold;
    uint16_t column;
    uint8_t missing_is_below, is_leaf;
    int32_t next; /* the child that is not below, the other follows it; of a leaf itself, and no row is below */
} Node;

typedef struct {
    PyObject_HEAD
    Node *nodes;
    double *values; /* of leaves, by node */
    int32_t *roots;
    int32_t *depths; /* steps from each root to its deepest leaf */
    Py_ssize_t n_roots;
    Py_ssize_t width; /* a row has at least so many columns */
    double base;
} Forest;

static inline int is_below(const Node *node, const float *row) {
    float value = row[node->column];
    return value < node->threshold || (value != value && node->missing_is_below);
}

static inline const Node *leaf_of(const Forest *f, const Node *node, const float *row) {
    while (!node->is_leaf) node = f->nodes + node->next + is_below(node, row);
    return node;
}

/* The trees in an order of their own, in which siblings are neighbours. Raises ValueError for what is no tree. */
static int lay_out(Forest *f, Array *a) {
    const int32_t *children = a[0].view.buf, *column = a[1].view.buf, *roots = a[6].view.buf;
    const float *threshold = a[2].view.buf;
    const uint8_t *missing = a[3].view.buf, *is_leaf = a[4].view.buf;
    const double *value = a[5].view.buf;
    Py_ssize_t n = a[1].n, n_placed = 0, n_open = 0;
    int32_t *from = PyMem_Malloc((size_t)(n + 1) * 3 * sizeof *from); /* (node, its place, its depth), still to be filled */
    uint8_t *is_seen = PyMem_Calloc((size_t)n + 1, 1);
    const char *why = NULL;
    if (!from || !is_seen) {
        PyMem_Free(from), PyMem_Free(is_seen);
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t tree = 0; tree < f->n_roots && !why; tree++) {
        if (roots[tree] < 0 || roots[tree] >= n || n_placed >= n) {
            why = "a root is no node";
            break;
        }
        f->roots[tree] = (int32_t)n_placed, f->depths[tree] = 0;
        from[0] = roots[tree], from[1] = (int32_t)n_placed++, from[2] = 0, n_open = 1;
        while (n_open && !why) {
            const int32_t *top = from + 3 * --n_open;
            int32_t node = top[0], place = top[1], depth = top[2];
            Node *to = f->nodes + place;
            if (depth > f->depths[tree]) f->depths[tree] = depth;
            if (is_seen[node]++) {
                why = "a node has two parents";
            } else if (is_leaf[node]) {
                *to = (Node){.threshold = -INFINITY, .is_leaf = 1, .next = place};
                f->values[place] = value[node];
            } else {
                const int32_t *own = children + 2 * (Py_ssize_t)node;
                if (column[node] < 0 || column[node] > UINT16_MAX) why = "a column is out of range";
                else if (own[0] < 0 || own[0] >= n || own[1] < 0 || own[1] >= n) why = "a child is no node";
                else if (n_placed + 2 > n) why = "a node has two parents";
                if (why) break;
                *to = (Node){threshold[node], (uint16_t)column[node], missing[node] != 0, 0, (int32_t)n_placed};
                if (column[node] >= f->width) f->width = column[node] + 1;
                for (int side = 0; side < 2; side++) {
                    int32_t *open = from + 3 * n_open++;
                    open[0] = own[side], open[1] = (int32_t)n_placed++, open[2] = depth + 1;
                }
            }
        }
    }
    PyMem_Free(from), PyMem_Free(is_seen);
    return why ? refuse(a, 7, why) : 0;
}

static void forest_dealloc(Forest *f) {
    PyMem_Free(f->nodes), PyMem_Free(f->values), PyMem_Free(f->roots), PyMem_Free(f->depths);
    Py_TYPE(f)->tp_free((PyObject *)f);
}

static PyObject *forest_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    PyObject *o[7];
    double base;
    if (!PyArg_ParseTuple(args, "OOOOOOOd", o, o + 1, o + 2, o + 3, o + 4, o + 5, o + 6, &base)) return NULL;
    Array a[7] = {I32(o[0]), I32(o[1]), F32(o[2]), U8(o[3]), U8(o[4]), F64(o[5]), I32(o[6])};
    if (take(a, 7) < 0) return NULL;
    Py_ssize_t n = a[1].n;
    if (a[0].n != 2 * n || a[2].n != n || a[3].n != n || a[4].n != n || a[5].n != n || n >= INT32_MAX / 2) {
        refuse(a, 7, "the arrays of nodes differ in length");
        return NULL;
    }
    Forest *f = (Forest *)type->tp_alloc(type, 0);
    if (!f) return release(a, 7), NULL;
    f->base = base, f->n_roots = a[6].n;
    f->nodes = PyMem_Malloc((size_t)(n + 1) * sizeof *f->nodes);
    f->values = PyMem_Malloc((size_t)(n + 1) * sizeof *f->values);
    f->roots = PyMem_Malloc((size_t)(f->n_roots + 1) * sizeof *f->roots);
    f->depths = PyMem_Malloc((size_t)(f->n_roots + 1) * sizeof *f->depths);
    if (!f->nodes || !f->values || !f->roots || !f->depths) {
        release(a, 7), Py_DECREF(f);
        return PyErr_NoMemory();
    }
    if (lay_out(f, a) < 0) {
        Py_DECREF(f);
        return NULL;
    }
    release(a, 7);
    return (PyObject *)f;
}

/* Add a tree's leaves of LANES rows. */
static inline void add_leaves(const Forest *f, Py_ssize_t tree, const float *const *rows, float *sum) {
    int32_t at[LANES];
    for (int i = 0; i < LANES; i++) at[i] = f->roots[tree];
    for (int32_t step = 0; step < f->depths[tree]; step++)
        for (int i = 0; i < LANES; i++) {
            Node node = f->nodes[at[i]];
            float value = rows[i][node.column];
            at[i] = node.next + ((value < node.threshold) | ((value != value) & node.missing_is_below));
        }
    for (int i = 0; i < LANES; i++) sum[i] += (float)f->values[at[i]];
}

/* values(matrix, out): in float32 and in the order of the trees, as ONNX Runtime adds them. */
static PyObject *forest_values(Forest *f, PyObject *args) {
    PyObject *matrix, *result;
    if (!PyArg_ParseTuple(args, "OO", &matrix, &result)) return NULL;
    Array a[2] = {F32(matrix), OUT_F64(result)};
    if (take(a, 2) < 0) return NULL;
    Py_ssize_t n_rows = a[1].n, width = n_rows ? a[0].n / n_rows : 0;
    if (n_rows && (width < f->width || width * n_rows != a[0].n)) return refuse(a, 2, "the rows are too short"), NULL;
    const float *rows = a[0].view.buf, base = (float)f->base;
    double *out = a[1].view.buf;
    PyThreadState *state = n_rows > FEW ? PyEval_SaveThread() : NULL;
    for (Py_ssize_t start = 0; start < n_rows; start += ROWS) {
        Py_ssize_t n = n_rows - start < ROWS ? n_rows - start : ROWS;
        float sum[ROWS] = {0};
        const float *own[ROWS];
        for (Py_ssize_t i = 0; i < ROWS; i++) own[i] = rows + (start + (i < n ? i : n - 1)) * width;
        for (Py_ssize_t tree = 0; tree < f->n_roots; tree++) {
            if (n < LANES)
                for (Py_ssize_t i = 0; i < n; i++)
                    sum[i] += (float)f->values[leaf_of(f, f->nodes + f->roots[tree], own[i]) - f->nodes];
            else
                for (Py_ssize_t i = 0; i < n; i += LANES) add_leaves(f, tree, own + i, sum + i);
        }
        for (Py_ssize_t i = 0; i < n; i++) out[start + i] = (double)(sum[i] + base);
    }
    if (state) PyEval_RestoreThread(state);
    release(a, 2);
    Py_RETURN_NONE;
}

typedef struct {
    const Forest *forest;
    const float *own, *other;
    const uint8_t *group;
    int n_groups;
    double *out;
} Mixture;

/* Add the leaves of the mixtures in which the groups of `in` are the client's and those of `out` are not. */
static void add_mixtures(const Mixture *m, const Node *node, uint32_t in, uint32_t out) {
    while (!node->is_leaf) {
        const Node *next = m->forest->nodes + node->next;
        int own = is_below(node, m->own), other = is_below(node, m->other), side = own;
        if (own != other) {
            int group = m->group[node->column];
            uint32_t bit = group < m->n_groups ? 1u << group : 0;
            if (!bit || out & bit) {
                side = other;
            } else if (!(in & bit)) {
                add_mixtures(m, next + other, in, out | bit);
                in |= bit;
            }
        }
        node = next + side;
    }
    double value = m->forest->values[node - m->forest->nodes];
    for (uint32_t set = out;; set = (set - 1) & out) {
        m->out[in | set] += __builtin_popcount(set) & 1 ? -value : value;
        if (!set) break;
    }
}

static int check_mixture(Array *a, int n_groups, int limit, Py_ssize_t n_out, Py_ssize_t width) {
    if (n_groups < 0 || n_groups > limit || a[3].n != n_out) return refuse(a, 4, "the number of groups is wrong");
    if (a[0].n < width || a[1].n != a[0].n || a[2].n != a[0].n) return refuse(a, 4, "the rows are too short");
    return 0;
}

/* coalition_values(own, other, group, n_groups, out) */
static PyObject *forest_coalition_values(Forest *f, PyObject *args) {
    PyObject *o[4];
    int n_groups;
    if (!PyArg_ParseTuple(args, "OOOiO", o, o + 1, o + 2, &n_groups, o + 3)) return NULL;
    Array a[4] = {F32(o[0]), F32(o[1]), U8(o[2]), OUT_F64(o[3])};
    if (take(a, 4) < 0) return NULL;
    Py_ssize_t n_out = n_groups >= 0 && n_groups <= MAX_GROUPS ? (Py_ssize_t)1 << n_groups : -1;
    if (check_mixture(a, n_groups, MAX_GROUPS, n_out, f->width) < 0) return NULL;
    double *out = a[3].view.buf;
    Mixture m = {f, a[0].view.buf, a[1].view.buf, a[2].view.buf, n_groups, out};
    memset(out, 0, (size_t)n_out * sizeof *out);
    for (Py_ssize_t tree = 0; tree < f->n_roots; tree++) add_mixtures(&m, f->nodes + f->roots[tree], 0, 0);
    SUM_SUBSETS(out, n_groups)
    for (Py_ssize_t i = 0; i < n_out; i++) out[i] += f->base;
    release(a, 4);
    Py_RETURN_NONE;
}

/* losses(own, other, part, n_parts, out) */
static PyObject *forest_losses(Forest *f, PyObject *args) {
    PyObject *o[4];
    int n_parts;
    if (!PyArg_ParseTuple(args, "OOOiO", o, o + 1, o + 2, &n_parts, o + 3)) return NULL;
    Array a[4] = {F32(o[0]), F32(o[1]), U8(o[2]), OUT_F64(o[3])};
    if (take(a, 4) < 0) return NULL;
    if (check_mixture(a, n_parts, MAX_PARTS, n_parts, f->width) < 0) return NULL;
    const float *own = a[0].view.buf, *other = a[1].view.buf;
    const uint8_t *part = a[2].view.buf;
    double *lost = a[3].view.buf;
    memset(lost, 0, (size_t)n_parts * sizeof *lost);
    for (Py_ssize_t tree = 0; tree < f->n_roots; tree++) {
        const Node *root = f->nodes + f->roots[tree];
        double whole = f->values[leaf_of(f, root, own) - f->nodes];
        uint8_t is_done[MAX_PARTS] = {0};
        for (const Node *node = root; !node->is_leaf;) {
            const Node *next = f->nodes + node->next;
            int side = is_below(node, own), other_side = is_below(node, other), mine = part[node->column];
            if (side != other_side && mine < n_parts && !is_done[mine]) {
                is_done[mine] = 1;
                const Node *at = next + other_side;
                while (!at->is_leaf) at = f->nodes + at->next + is_below(at, part[at->column] == mine ? other : own);
                lost[mine] += whole - f->values[at - f->nodes];
            }
            node = next + side;
        }
    }
    release(a, 4);
    Py_RETURN_NONE;
}

static PyMethodDef forest_methods[] = {
    {"values", (PyCFunction)forest_values, METH_VARARGS, "values(matrix, out): the sum of the leaves of each row."},
    {"coalition_values", (PyCFunction)forest_coalition_values, METH_VARARGS,
     "coalition_values(own, other, group, n_groups, out): the sums of all mixtures of two rows."},
    {"losses", (PyCFunction)forest_losses, METH_VARARGS,
     "losses(own, other, part, n_parts, out): the sum of a row, less that with one part of another row."},
    {NULL, NULL, 0, NULL}};

static PyTypeObject ForestType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "_trees.Forest",
    .tp_basicsize = sizeof(Forest),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Forest(children, column, threshold, missing_is_below, is_leaf, value, roots, base)",
    .tp_new = forest_new,
    .tp_dealloc = (destructor)forest_dealloc,
    .tp_methods = forest_methods,
};

/* --- trees whose levels have one split each ----------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    Array leaves; /* int64, (trees, 2^depth); the caller's own */
    int32_t *columns;
    float *borders; /* both by tree, then by level */
    Py_ssize_t n_trees, width;
    int depth;
} SymmetricForest;

static void symmetric_dealloc(SymmetricForest *f) {
    release(&f->leaves, 1);
    PyMem_Free(f->columns), PyMem_Free(f->borders);
    Py_TYPE(f)->tp_free((PyObject *)f);
}

static PyObject *symmetric_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    PyObject *columns, *borders, *leaves;
    int depth;
    if (!PyArg_ParseTuple(args, "OOOi", &columns, &borders, &leaves, &depth)) return NULL;
    SymmetricForest *f = (SymmetricForest *)type->tp_alloc(type, 0);
    if (!f) return NULL;
    Array a[2] = {I32(columns), F32(borders)}, own = I64(leaves);
    if (take(a, 2) < 0) return Py_DECREF(f), NULL;
    f->leaves = own, f->depth = depth;
    if (take(&f->leaves, 1) < 0) return release(a, 2), Py_DECREF(f), NULL;
    if (depth < 0 || depth > MAX_DEPTH || f->leaves.n % ((Py_ssize_t)1 << depth)) {
        refuse(a, 2, "the trees are too deep, or leaves are missing");
        return Py_DECREF(f), NULL;
    }
    f->n_trees = f->leaves.n >> depth;
    Py_ssize_t n = f->n_trees * depth;
    if (a[0].n != n || a[1].n != n) return refuse(a, 2, "the arrays of levels differ in length"), Py_DECREF(f), NULL;
    f->columns = PyMem_Malloc((size_t)(n + 1) * sizeof *f->columns);
    f->borders = PyMem_Malloc((size_t)(n + 1) * sizeof *f->borders);
    if (!f->columns || !f->borders) return release(a, 2), Py_DECREF(f), PyErr_NoMemory();
    for (int level = 0; level < depth; level++)
        for (Py_ssize_t tree = 0; tree < f->n_trees; tree++) {
            Py_ssize_t from = level * f->n_trees + tree, to = tree * depth + level;
            int32_t column = ((const int32_t *)a[0].view.buf)[from];
            if (column < 0) return refuse(a, 2, "a column is out of range"), Py_DECREF(f), NULL;
            if (column >= f->width) f->width = (Py_ssize_t)column + 1;
            f->columns[to] = column, f->borders[to] = ((const float *)a[1].view.buf)[from];
        }
    release(a, 2);
    return (PyObject *)f;
}

static inline Py_ssize_t place_of(const SymmetricForest *f, Py_ssize_t tree, const float *row) {
    Py_ssize_t place = 0;
    for (Py_ssize_t at = tree * f->depth; at < (tree + 1) * f->depth; at++)
        place = place << 1 | (row[f->columns[at]] > f->borders[at]);
    return (tree << f->depth) + place;
}

/* Add the leaves of n rows, which are given by column, ROWS values each. */
static void add_block(const SymmetricForest *f, const float *columns, int64_t *out, Py_ssize_t n) {
    const int64_t *leaves = f->leaves.view.buf;
    for (Py_ssize_t tree = 0; tree < f->n_trees; tree++, leaves += (Py_ssize_t)1 << f->depth) {
        int32_t place[ROWS] = {0};
        for (Py_ssize_t at = tree * f->depth; at < (tree + 1) * f->depth; at++) {
            const float *column = columns + (Py_ssize_t)f->columns[at] * ROWS, border = f->borders[at];
            for (int i = 0; i < ROWS; i++) place[i] = 2 * place[i] + (column[i] > border);
        }
        for (Py_ssize_t i = 0; i < n; i++) out[i] += leaves[place[i]];
    }
}

/* values(matrix, out) */
static PyObject *symmetric_values(SymmetricForest *f, PyObject *args) {
    PyObject *matrix, *result;
    if (!PyArg_ParseTuple(args, "OO", &matrix, &result)) return NULL;
    Array a[2] = {F32(matrix), OUT_I64(result)};
    if (take(a, 2) < 0) return NULL;
    Py_ssize_t n_rows = a[1].n, width = n_rows ? a[0].n / n_rows : 0;
    if (n_rows && (width < f->width || width * n_rows != a[0].n)) return refuse(a, 2, "the rows are too short"), NULL;
    const float *rows = a[0].view.buf;
    const int64_t *leaves = f->leaves.view.buf;
    int64_t *out = a[1].view.buf;
    float *columns = n_rows > FEW ? PyMem_Malloc((size_t)(f->width + 1) * ROWS * sizeof *columns) : NULL;
    memset(out, 0, (size_t)n_rows * sizeof *out);
    if (columns) {
        PyThreadState *state = PyEval_SaveThread();
        for (Py_ssize_t start = 0; start < n_rows; start += ROWS) {
            Py_ssize_t n = n_rows - start < ROWS ? n_rows - start : ROWS;
            for (Py_ssize_t first = 0; first < f->width; first += TILE) /* so many lines of memory stay at hand */
                for (Py_ssize_t i = 0; i < ROWS; i++)
                    for (Py_ssize_t column = first; column < first + TILE && column < f->width; column++)
                        columns[column * ROWS + i] = rows[(start + (i < n ? i : n - 1)) * width + column];
            add_block(f, columns, out + start, n);
        }
        PyEval_RestoreThread(state);
        PyMem_Free(columns);
    } else {
        for (Py_ssize_t i = 0; i < n_rows; i++)
            for (Py_ssize_t tree = 0; tree < f->n_trees; tree++) out[i] += leaves[place_of(f, tree, rows + i * width)];
    }
    release(a, 2);
    Py_RETURN_NONE;
}

typedef struct {
    int n, group[MAX_DEPTH];
    Py_ssize_t first, change[MAX_DEPTH];
} Changes;

/* The groups by which two rows come to different leaves of a tree, and how far each moves the place from the first's. */
static void find_changes(const SymmetricForest *f, Py_ssize_t tree, const float *from, const float *to,
                         const uint8_t *group, int n_groups, Changes *c) {
    c->n = 0, c->first = tree << f->depth;
    for (int level = 0; level < f->depth; level++) {
        Py_ssize_t at = tree * f->depth + level, bit = (Py_ssize_t)1 << (f->depth - 1 - level);
        int32_t column = f->columns[at];
        int first = from[column] > f->borders[at], second = to[column] > f->borders[at], own = group[column], i = 0;
        if (first) c->first += bit;
        if (first == second || own >= n_groups) continue;
        while (i < c->n && c->group[i] != own) i++;
        if (i == c->n) c->group[c->n] = own, c->change[c->n++] = 0;
        c->change[i] += second ? bit : -bit;
    }
}

/* coalition_values(own, other, group, n_groups, out) */
static PyObject *symmetric_coalition_values(SymmetricForest *f, PyObject *args) {
    PyObject *o[4];
    int n_groups;
    if (!PyArg_ParseTuple(args, "OOOiO", o, o + 1, o + 2, &n_groups, o + 3)) return NULL;
    Array a[4] = {F32(o[0]), F32(o[1]), U8(o[2]), OUT_I64(o[3])};
    if (take(a, 4) < 0) return NULL;
    Py_ssize_t n_out = n_groups >= 0 && n_groups <= MAX_GROUPS ? (Py_ssize_t)1 << n_groups : -1;
    if (check_mixture(a, n_groups, MAX_GROUPS, n_out, f->width) < 0) return NULL;
    const int64_t *leaves = f->leaves.view.buf;
    int64_t *out = a[3].view.buf;
    memset(out, 0, (size_t)n_out * sizeof *out);
    for (Py_ssize_t tree = 0; tree < f->n_trees; tree++) {
        Changes c;
        find_changes(f, tree, a[1].view.buf, a[0].view.buf, a[2].view.buf, n_groups, &c);
        Py_ssize_t place[1 << MAX_DEPTH];
        int64_t value[1 << MAX_DEPTH];
        uint32_t set[1 << MAX_DEPTH];
        place[0] = c.first, set[0] = 0;
        for (int i = 0; i < c.n; i++)
            for (int s = 0; s < 1 << i; s++)
                place[s | 1 << i] = place[s] + c.change[i], set[s | 1 << i] = set[s] | 1u << c.group[i];
        for (int s = 0; s < 1 << c.n; s++) value[s] = leaves[place[s]];
        for (int i = 0; i < c.n; i++)
            for (int s = 0; s < 1 << c.n; s++)
                if (s >> i & 1) value[s] -= value[s ^ 1 << i];
        for (int s = 0; s < 1 << c.n; s++) out[set[s]] += value[s];
    }
    SUM_SUBSETS(out, n_groups)
    release(a, 4);
    Py_RETURN_NONE;
}

/* losses(own, other, part, n_parts, out) */
static PyObject *symmetric_losses(SymmetricForest *f, PyObject *args) {
    PyObject *o[4];
    int n_parts;
    if (!PyArg_ParseTuple(args, "OOOiO", o, o + 1, o + 2, &n_parts, o + 3)) return NULL;
    Array a[4] = {F32(o[0]), F32(o[1]), U8(o[2]), OUT_I64(o[3])};
    if (take(a, 4) < 0) return NULL;
    if (check_mixture(a, n_parts, MAX_PARTS, n_parts, f->width) < 0) return NULL;
    const int64_t *leaves = f->leaves.view.buf;
    int64_t *lost = a[3].view.buf;
    memset(lost, 0, (size_t)n_parts * sizeof *lost);
    for (Py_ssize_t tree = 0; tree < f->n_trees; tree++) {
        Changes c;
        find_changes(f, tree, a[0].view.buf, a[1].view.buf, a[2].view.buf, n_parts, &c);
        for (int i = 0; i < c.n; i++) lost[c.group[i]] += leaves[c.first] - leaves[c.first + c.change[i]];
    }
    release(a, 4);
    Py_RETURN_NONE;
}

static PyMethodDef symmetric_methods[] = {
    {"values", (PyCFunction)symmetric_values, METH_VARARGS, "values(matrix, out): the sum of the leaves of each row."},
    {"coalition_values", (PyCFunction)symmetric_coalition_values, METH_VARARGS,
     "coalition_values(own, other, group, n_groups, out): the sums of all mixtures of two rows."},
    {"losses", (PyCFunction)symmetric_losses, METH_VARARGS,
     "losses(own, other, part, n_parts, out): the sum of a row, less that with one part of another row."},
    {NULL, NULL, 0, NULL}};

static PyTypeObject SymmetricForestType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "_trees.SymmetricForest",
    .tp_basicsize = sizeof(SymmetricForest),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "SymmetricForest(columns, borders, leaves, depth)",
    .tp_new = symmetric_new,
    .tp_dealloc = (destructor)symmetric_dealloc,
    .tp_methods = symmetric_methods,
};

/* --- the module --------------------------------------------------------------------------------------------------- */

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_trees", .m_doc = "Compiled trees.", .m_size = -1};

PyMODINIT_FUNC PyInit__trees(void) {
    if (PyType_Ready(&ForestType) < 0 || PyType_Ready(&SymmetricForestType) < 0) return NULL;
    PyObject *m = PyModule_Create(&module);
    if (!m) return NULL;
    if (PyModule_AddObjectRef(m, "Forest", (PyObject *)&ForestType) < 0 ||
        PyModule_AddObjectRef(m, "SymmetricForest", (PyObject *)&SymmetricForestType) < 0 ||
        PyModule_AddStringConstant(m, "SOURCE", SOURCE) < 0) {
        Py_DECREF(m);
        return NULL;
    }
    return m;
}
