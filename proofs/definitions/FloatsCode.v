(** What the code computes, one IEEE operation for each [RN64] and [RN32]. Where a file and a function are named, that
    is where it stands in the package. *)

From Coq Require Import ZArith Reals List Permutation.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary IEEE754.Bits.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats.
Import ListNotations.
Open Scope R_scope.

(** * The certificate *)

(** `algebra/exact.py: grid_exponents`, the biased exponent of a number's grid; 255 for zero. *)
Definition biased_grid (v : R) : Z := if Req_bool v 0 then 255 else grid_exponent v + 150.

Definition least_grid (vs : list R) : Z := fold_right Z.min 255%Z (map biased_grid vs).

(** `algebra/exact.py: LIMITS`, 2^53 grids. *)
Definition limit (grid : Z) : R := 2^(grid - 97).

(** `algebra/exact.py: split_by_sign`. *)
Definition positive (v : R) : R := Rmax v 0.
Definition negative (v : R) : R := Rmin v 0.

(** `algebra/exact.py: _failing`, each coordinate: S+ and S- are summed apart, in the same tree. *)
Definition magnitude64 (t : tree R) : R := RN64 (sum64 positive t - sum64 negative t).
Definition passes (t : tree R) : Prop := magnitude64 t < limit (least_grid (leaves t)).

(** `algebra/exact.py: _failing`, the cheap test of a block as a whole: the greatest magnitude, the least grid. *)
Definition block_passes (block : list (tree R)) : Prop :=
  fold_right Rmax 0 (map magnitude64 block) < limit (fold_right Z.min 255%Z (map (fun t => least_grid (leaves t)) block)).

(** `algebra/exact.py: Coefficients.certified`: fsum is the exact sum, rounded once. *)
Definition coefficients_pass (cs : list R) : Prop := RN64 (sum_of Rabs cs) < limit (least_grid cs).

(** One sum after another, from zero, as the fused kernels add. *)
Definition running_sum {A} (d : dtype) (f : A -> R) (xs : list A) : R :=
  fold_left (fun s x => RN d (s + f x)) xs 0.

(** `kernels/fused/reduce.py: _without_certificate`; `kernels/device.py: reduce_tile`. *)
Definition kernel_passes (vs : list R) : Prop := running_sum F64 Rabs vs < limit (least_grid vs).

(** ** The least grid from bits *)

Definition magnitude_bits (x : number F32) : Z := Z.land (to_bits F32 x) 0x7FFFFFFF.

(** `algebra/exact.py: grid_exponents`. *)
Definition biased_grid_of_bits (x : number F32) : Z :=
  if (magnitude_bits x =? 0)%Z then 255
  else let E := Z.land (Z.shiftr (to_bits F32 x) 23) 255 in if (E =? 0)%Z then 1 else E.

(** `kernels/fused/reduce.py: _refine, _limit`: the exponent of the least magnitude. *)
Definition refine (x : number F32) (low : Z) : Z :=
  Z.min low (if (magnitude_bits x =? 0)%Z then 0x7FFFFFFF else magnitude_bits x).
Definition exponent_of_bits (low : Z) : Z := Z.max (Z.shiftr low 23) 1.
Definition cpu_grid (xs : list (number F32)) : Z := exponent_of_bits (fold_right refine 0x7FFFFFFF%Z xs).

(** `kernels/device.py: reduce_tile, _limit`: the same of the magnitude less one, as 32 bits without sign. *)
Definition gpu_grid (xs : list (number F32)) : Z :=
  let least := fold_right (fun x => Z.min ((magnitude_bits x - 1) mod 2 ^ 32)) (2 ^ 32 - 1)%Z xs in
  exponent_of_bits ((least + 1) mod 2 ^ 32).

(** * The methods on sums by sign: `algebra/ties.py`, `algebra/mean.py`, `algebra/task_arithmetic.py` *)

Definition S_positive (x : vote) : R := positive (value x).
Definition S_negative (x : vote) : R := negative (value x).
Definition W_positive (x : vote) : R := if Rlt_bool 0 (value x) then coefficient x else 0.
Definition W_negative (x : vote) : R := if Rlt_bool (value x) 0 then - coefficient x else 0.

(** `finalize`: elect by comparing, then divide. *)
Definition finalize_by_sign (Sp Sn Wp Wn : R) : R :=
  match Rcompare Sp (- Sn) with
  | Eq => 0
  | Gt => RN32 (RN64 (Sp / Wp))
  | Lt => RN32 (RN64 (Sn / - Wn))
  end.

Definition ties_by_sign (t : tree vote) : R :=
  finalize_by_sign (sum64 S_positive t) (sum64 S_negative t) (sum64 W_positive t) (sum64 W_negative t).

(** [W]: `Coefficients.total`, the fsum of all coefficients. *)
Definition mean_by_sign (t : tree vote) (W : R) : R :=
  RN32 (RN64 (RN64 (sum64 S_positive t + sum64 S_negative t) / W)).

Definition task_arithmetic_by_sign (t : tree vote) : R := RN32 (RN64 (sum64 S_positive t + sum64 S_negative t)).

(** * The methods in fused kernels: `kernels/fused/reduce.py`, `kernels/device.py` *)

(** A number with the sign of v; 0 where v is 0. *)
Definition with_sign_of (v one : R) : R :=
  match Rcompare v 0 with Eq => 0 | Gt => one | Lt => - one end.

(** S, A, V and W. [d] and [unit]: in what V and W are held and counted, fp64 and 1, or fp32 and the coefficient that
    all contributions share (`kernels/cpu.py: _votes`). *)
Definition kernel_vote (d : dtype) (unit : R) (x : vote) : R :=
  with_sign_of (value x) (RN d (RN64 (coefficient x / unit))).

(** Which of the two it is, for the coefficients of all contributions. *)
Definition held_in (d : dtype) (unit : R) (cs : list R) : Prop :=
  (d = F64 /\ unit = 1) \/
  (d = F32 /\ is_number F32 unit /\ 0 < unit /\ Forall (eq unit) cs /\ (Z.of_nat (length cs) < 2 ^ 24)%Z).

(** `_disjoint_mean`: S+ = (S + A) / 2, and the like. *)
Definition finalize_in_kernel (d : dtype) (unit s a v w : R) : R :=
  let half := RN64 (/ 2 * unit) in
  match Rcompare s 0 with
  | Eq => 0
  | Gt => RN32 (RN64 (RN64 (RN64 (s + a) * / 2) / RN64 (RN d (w + v) * half)))
  | Lt => RN32 (RN64 (RN64 (RN64 (s - a) * / 2) / RN64 (RN d (w - v) * half)))
  end.

Definition magnitude (f : vote -> R) (x : vote) : R := Rabs (f x).

Definition ties_of_kernel (d : dtype) (unit : R) (votes : list vote) : R :=
  finalize_in_kernel d unit
    (running_sum F64 value votes) (running_sum F64 (magnitude value) votes)
    (running_sum d (kernel_vote d unit) votes) (running_sum d (magnitude (kernel_vote d unit)) votes).

Definition mean_of_kernel (votes : list vote) (W : R) : R := RN32 (RN64 (running_sum F64 value votes / W)).

Definition task_arithmetic_of_kernel (votes : list vote) : R := RN32 (running_sum F64 value votes).

(** * Aggregates: `algebra/exact.py: Sums.combine, Sums.retract` *)

(** How an aggregate came to be, at one coordinate. *)
Inductive history :=
  | Lift (x : vote)
  | Combine (a b : history)
  | Retract (a b : history).

(** The column that holds [f] of each contribution. *)
Fixpoint column (f : vote -> R) (h : history) : R :=
  match h with
  | Lift x => f x
  | Combine a b => RN64 (column f a + column f b)
  | Retract a b => RN64 (column f a - column f b)
  end.

(** The least grid that ever was there: retracting does not raise it. *)
Fixpoint grid_of (h : history) : Z :=
  match h with
  | Lift x => biased_grid (value x)
  | Combine a b => Z.min (grid_of a) (grid_of b)
  | Retract a _ => grid_of a
  end.

(** No test of the v ever failed; one is made at each combine. *)
Fixpoint stays_certified (h : history) : Prop :=
  match h with
  | Lift _ => True
  | Combine a b =>
      stays_certified a /\ stays_certified b /\ RN64 (column S_positive h - column S_negative h) < limit (grid_of h)
  | Retract a b => stays_certified a /\ stays_certified b
  end.

(** [holds weighs h votes]: the aggregate is of these contributions. What is retracted must be among them. [weighs]: the
    method sums coefficients, and then those of all in an aggregate are certified (`incremental/aggregate.py: combine`). *)
Inductive holds (weighs : bool) : history -> list vote -> Prop :=
  | HoldsLift x : is_number F32 (value x) -> is_number F32 (coefficient x) -> holds weighs (Lift x) [x]
  | HoldsCombine a b xs ys :
      holds weighs a xs -> holds weighs b ys -> (weighs = true -> certified (map coefficient (xs ++ ys))) ->
      holds weighs (Combine a b) (xs ++ ys)
  | HoldsRetract a b xs ys rest :
      holds weighs a xs -> holds weighs b ys -> Permutation xs (ys ++ rest) -> holds weighs (Retract a b) rest.

Definition ties_of_aggregate (h : history) : R :=
  finalize_by_sign (column S_positive h) (column S_negative h) (column W_positive h) (column W_negative h).

Definition total_of_aggregate (h : history) : R := RN64 (column S_positive h + column S_negative h).

(** * Kept sums brought up to date: `kernels/fused/reduce.py: update`, `kernels/equations.py: OnNumPy.update` *)

(** Some contributions are taken out of a sum, then others put in. *)
Definition updated (d : dtype) (f : vote -> R) (kept : R) (retracted added : list vote) : R :=
  fold_left (fun s x => RN d (s + f x)) added (fold_left (fun s x => RN d (s - f x)) retracted kept).

(** The fused kernel negates before and after taking out. *)
Definition updated_by_kernel (d : dtype) (f : vote -> R) (kept : R) (retracted added : list vote) : R :=
  fold_left (fun s x => RN d (s + f x)) added (- fold_left (fun s x => RN d (s + f x)) retracted (- kept)).

(** A sum that was exact for the old contributions, brought up to date. *)
Definition kept_sum (d : dtype) (f : vote -> R) (old retracted added : list vote) : R :=
  updated d f (sum_of f old) retracted added.

(** The grid that is kept never rises. *)
Definition kept_grid (g : Z) (retracted added : list vote) : Z := Z.min g (least_grid (map value (retracted ++ added))).

Definition kept_passes (g : Z) (old retracted added : list vote) : Prop :=
  kept_sum F64 (magnitude value) old retracted added < limit (kept_grid g retracted added).

Definition ties_of_kept (d : dtype) (unit : R) (old retracted added : list vote) : R :=
  finalize_in_kernel d unit
    (kept_sum F64 value old retracted added) (kept_sum F64 (magnitude value) old retracted added)
    (kept_sum d (kernel_vote d unit) old retracted added) (kept_sum d (magnitude (kernel_vote d unit)) old retracted added).

(** * Task vectors and models: `algebra/difference.py`, `algebra/apply.py` *)

(** `apply`: the product is rounded, then the sum; a device may contract both into one rounding. *)
Definition applied (base lambda32 tau_m : R) : R := RN64 (base + RN64 (tau_m * lambda32)).
Definition applied_contracted (base lambda32 tau_m : R) : R := RN64 (base + tau_m * lambda32).

(** * IEEE operations on bits *)

Definition widen : number F32 -> number F64 := convert F64.
Definition add64 : number F64 -> number F64 -> number F64 := b64_plus mode_NE.
Definition multiply64 : number F64 -> number F64 -> number F64 := b64_mult mode_NE.
Definition fused64 : number F64 -> number F64 -> number F64 -> number F64 := b64_fma mode_NE.

Fixpoint map_tree {A B} (f : A -> B) (t : tree A) : tree B :=
  match t with
  | Leaf x => Leaf (f x)
  | Node a b => Node (map_tree f a) (map_tree f b)
  end.

Fixpoint machine_sum (t : tree (number F64)) : number F64 :=
  match t with
  | Leaf x => x
  | Node a b => add64 (machine_sum a) (machine_sum b)
  end.

Definition machine_running_sum (xs : list (number F64)) : number F64 := fold_left add64 xs (B754_zero _ _ false).

(** `kernels/fused/reduce.py: _limit`. *)
Definition machine_limit (grid : Z) : number F64 := of_bits F64 (Z.shiftl (grid - 97 + 1023) 52).

(** `kernels/fused/reduce.py: _without_certificate`, whose A is the running sum of magnitudes. *)
Definition machine_passes (xs : list (number F32)) : bool :=
  match b64_compare (machine_running_sum (map (fun x => b64_abs (widen x)) xs)) (machine_limit (cpu_grid xs)) with
  | Some Lt => true
  | _ => false
  end.
