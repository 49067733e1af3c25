(** The reducer, from bits to bits: what the oracle runs, and what the claims speak of.

    Exact arithmetic on integers between named rounding points: decode, subtract, trim (Trim.v), scale, elect and
    average (Ties.v, Counting.v), apply, encode. A model is the list of its float tensors in name order; an element's
    position is its place in all of them together, in C order: the canonical order [TI-1]. *)

From Coq Require Import ZArith List Bool.
From Flocq Require Import Core.Core Calc.Operations IEEE754.BinarySingleNaN IEEE754.Binary.
From MergeAlgebra.Definitions Require Import Bits Rounding.
From MergeAlgebra.Definitions Require Trim Ties Counting.
Import ListNotations.
Open Scope Z_scope.

(** * What is asked *)

Inductive scope : Set := Model | Tensor.

(** A method with its options; the density is num / den [RC-4]. *)
Inductive method : Set :=
  | TIES (rule : Trim.boundary) (num den : Z) (group : scope)
  | Mean
  | TaskArithmetic
  | Linear
  | NegMerge
  | RAM.

(** Whether it merges models, and not task vectors; then it copies what they agree on [MG-13, MG-14]. *)
Definition on_theta (m : method) : bool := match m with Linear => true | _ => false end.

(** Elements as bits, all of one dtype. *)
Definition tensor : Set := (dtype * list Z)%type.

Inductive form : Set := Finetuned | TaskVector.

(** The tensors stand where the base has them, None where one is absent. The coefficient is given as fp32 bits. *)
Record contribution : Set := Contribution {
  kind : form;
  coefficient_bits : Z;
  held : list (option tensor)
}.

(** Lambda is given as fp32 bits; a method on theta has none, and looks at none. *)
Record request : Set := Request {
  how : method;
  lambda_bits : Z;
  base : list tensor;
  contributions : list contribution
}.

(** * What is answered *)

(** What is not finite, and of which contribution, by its place from 0 [TV-4, TV-5, TI-6, TA-2, MG-5]. *)
Inductive fault : Set :=
  | InTau (place : Z)
  | InV (place : Z)
  | InTauM
  | InResult.

Inductive answer : Set :=
  | Merged (tensors : list (list Z)) (kept : list Z)
  | NotFiniteAt (position : Z) (what : fault)
  | BadCoefficient (place : Z)
  | NothingToMerge
  | Malformed.

(** * Lists *)

(** The first of several faults, and where it is; else all that is right. *)
Fixpoint all_or_first {A B : Type} (position : Z) (xs : list (A + B)) : list A + Z * B :=
  match xs with
  | [] => inl []
  | inr fault :: _ => inr (position, fault)
  | inl x :: rest =>
      match all_or_first (position + 1) rest with
      | inl others => inl (x :: others)
      | inr found => inr found
      end
  end.

(** The place of the first element with a property. *)
Fixpoint place_of {A : Type} (p : A -> bool) (place : Z) (xs : list A) : option Z :=
  match xs with
  | [] => None
  | x :: rest => if p x then Some place else place_of p (place + 1) rest
  end.

Fixpoint zip_with {A B C : Type} (f : A -> B -> C) (xs : list A) (ys : list B) : list C :=
  match xs, ys with
  | x :: xs', y :: ys' => f x y :: zip_with f xs' ys'
  | _, _ => []
  end.

(** The columns of rows that each have n elements. *)
Definition columns {A : Type} (n : nat) (rows : list (list A)) : list (list A) :=
  fold_right (zip_with cons) (repeat [] n) rows.

(** A list cut into pieces as long as those of another. *)
Fixpoint cut_like {A B : Type} (pieces : list (list A)) (xs : list B) : list (list B) :=
  match pieces with
  | [] => []
  | piece :: rest => firstn (length piece) xs :: cut_like rest (skipn (length piece) xs)
  end.

(** * Task vectors [TV-2 to TV-6] *)

(** What a contribution has at a coordinate; tau as a numerator on the grid of fp32, so that a zero has no sign. For a
    method on theta, theta stands in place of tau. *)
Inductive element : Set := Absent | NotFinite | Tau (n : Z).

Definition element_of (x : number F32) : element :=
  match numerator x with Some n => Tau n | None => NotFinite end.

Definition same_infinity {d e} (x : number d) (y : number e) : bool :=
  match x, y with
  | B754_infinity _ _ s, B754_infinity _ _ t => Bool.eqb s t
  | _, _ => false
  end.

(** Equal dtype and bits, or the same infinity [TV-3]. *)
Definition unchanged (d : dtype) (x : Z) (e : dtype) (y : Z) : bool :=
  (dtype_eqb d e && (x =? y)) || same_infinity (of_bits d x) (of_bits e y).

(** RN32 of an exact difference, by way of RN64 when either side is F64 [TV-2]. *)
Definition round_difference (d e : dtype) (x : dyadic) : number F32 :=
  if dtype_eqb d F64 || dtype_eqb e F64 then convert F32 (round_to F64 x) else round_to F32 x.

Definition difference (d : dtype) (x : Z) (e : dtype) (y : Z) : element :=
  if unchanged d x e y then Tau 0
  else match exact (of_bits d x), exact (of_bits e y) with
       | Some from, Some to => element_of (round_difference d e (Fminus to from))
       | _, _ => NotFinite
       end.

(** An element of a stored task vector [TV-5]. *)
Definition stored (e : dtype) (y : Z) : element :=
  match exact (of_bits e y) with
  | Some x => element_of (round_to F32 x)
  | None => NotFinite
  end.

(** What is made of the bits of the base and of a contribution, each with its dtype. *)
Definition reading (A : Type) : Type := form -> dtype -> Z -> dtype -> Z -> A.

Definition tau : reading element := fun k d x e y =>
  match k with
  | Finetuned => difference d x e y
  | TaskVector => stored e y
  end.

(** RN32 of the model; of a task vector RN32(RN64(base + tau)) [TV-13]. *)
Definition theta : reading element := fun k d x e y =>
  match k with
  | Finetuned => stored e y
  | TaskVector =>
      match exact (of_bits d x), stored e y with
      | Some from, Tau n => element_of (convert F32 (round_to F64 (Fplus from (of_numerator n))))
      | _, _ => NotFinite
      end
  end.

Definition read_tensor {A} (absent : A) (read : reading A) (k : form) (b : tensor) (h : option tensor) : list A :=
  match h with
  | None => map (fun _ => absent) (snd b)
  | Some t => zip_with (fun x y => read k (fst b) x (fst t) y) (snd b) (snd t)
  end.

(** Tensor by tensor. *)
Definition read_all {A} (absent : A) (read : reading A) (b : list tensor) (c : contribution) : list (list A) :=
  zip_with (read_tensor absent read (kind c)) b (held c).

(** What a method looks at [MG-13]. *)
Definition elements (m : method) : list tensor -> contribution -> list (list element) :=
  read_all Absent (if on_theta m then theta else tau).

(** * Trim [TI-2 to TI-5] *)

Fixpoint present (es : list element) : list Z :=
  match es with
  | [] => []
  | Tau n :: rest => n :: present rest
  | _ :: rest => present rest
  end.

(** The elements with new values for those that are present; 0 for the others. *)
Fixpoint refill (es : list element) (ns : list Z) : list Z :=
  match es, ns with
  | [], _ => []
  | Tau _ :: rest, n :: ns' => n :: refill rest ns'
  | _ :: rest, _ => 0 :: refill rest ns
  end.

Definition trimmed_group (rule : Trim.boundary) (num den : Z) (es : list element) : list Z :=
  refill es (Trim.trim_group rule num den (present es)).

(** What is not above RN32(10^-5) is no change [RA-1]. *)
Definition no_change : Z := 10995116 * 2 ^ 109.

Definition change (n : Z) : Z := if no_change <? Z.abs n then n else 0.

(** The numerators of a contribution in canonical order, 0 for what is dropped, no change, or absent. *)
Definition trimmed (m : method) (es : list (list element)) : list Z :=
  match m with
  | TIES rule num den Model => trimmed_group rule num den (concat es)
  | TIES rule num den Tensor => flat_map (trimmed_group rule num den) es
  | RAM => refill (concat es) (map change (present (concat es)))
  | _ => refill (concat es) (present (concat es))
  end.

(** How many elements trim keeps; all that there are, for a method without trim. *)
Definition kept_of (m : method) (es : list (list element)) : Z :=
  match m with
  | TIES _ _ _ _ => Trim.count Trim.nonzero (trimmed m es)
  | _ => Trim.size (present (concat es))
  end.

(** * One coordinate *)

(** The coefficient of an element: 0 for an absent one, where only those count that hold the tensor [LI-1, NM-2]. *)
Definition weight (m : method) (c : Z) (e : element) : Z :=
  match m, e with
  | Linear, Absent | NegMerge, Absent => 0
  | _, _ => c
  end.

(** v = RN32(c * tau) as a numerator, beside c; None where it is not finite [TI-6, ME-1, TA-2, LI-1, NM-1, RA-1]. *)
Definition scaled (c n : Z) : option Z * Z :=
  (numerator (round_to F32 (Fmult (of_numerator c) (of_numerator n))), c).

(** A vote of the exact model. An absent element and a dropped one vote with 0, which elects nobody, and whose
    coefficient counts in the mean alone, as it must there [ME-1]. *)
Definition vote_of (x : option Z * Z) : Ties.vote := (match fst x with Some v => v | None => 0 end, snd x).

(** S and W; for task arithmetic S alone [TI-7, TI-8, ME-1, TA-1, LI-1, NM-2, RA-2]. *)
Definition sums (m : method) (votes : list Ties.vote) : Z * Z :=
  match m with
  | TIES _ _ _ _ => Ties.finalize (Ties.aggregate_of votes)
  | Mean => Ties.mean_sums votes
  | TaskArithmetic => (Ties.task_arithmetic votes, 1)
  | Linear => Counting.linear_sums votes
  | NegMerge => Counting.negmerge_sums votes
  | RAM => Counting.ram_sums votes
  end.

(** RN32(RN64(RN64(S) / RN64(W))); of task arithmetic RN32(RN64(S)) [TI-8, ME-1, TA-1, LI-1, NM-2, RA-2]. *)
Definition tau_m (m : method) (votes : list Ties.vote) : number F32 :=
  let (S, W) := sums m votes in
  let S64 := round_to F64 (of_numerator S) in
  match m with
  | TaskArithmetic => convert F32 S64
  | _ => convert F32 (divide S64 (round_to F64 (of_numerator W)))
  end.

(** The merged number's bits, tau_m and lambda on the grid [MG-2 to MG-5]. *)
Definition apply (l t : Z) (d : dtype) (b : Z) : Z + fault :=
  if (t =? 0) || (l =? 0) then inl b
  else match exact (of_bits d b) with
       | None => inr InResult
       | Some x =>
           let merged := narrow d (Fplus x (Fmult (of_numerator l) (of_numerator t))) in
           if finite merged then inl (to_bits d merged) else inr InResult
       end.

(** The bits of a model that is theta_m, whose zeros are +0 [MG-13]. *)
Definition become (t : Z) (d : dtype) : Z + fault :=
  let merged := round_to d (of_numerator t) in
  if finite merged then inl (to_bits d merged) else inr InResult.

Definition result (m : method) (l t : Z) (d : dtype) (b : Z) : Z + fault :=
  if on_theta m then become t d else apply l t d b.

Definition overflowed (x : option Z * Z) : bool := match fst x with Some _ => false | None => true end.

(** One coordinate, or the first thing wrong with it: a v, then tau_m, then the result [MG-6]. *)
Definition coordinate (m : method) (l : Z) (b : dtype * Z) (column : list (option Z * Z)) : Z + fault :=
  match place_of overflowed 0 column with
  | Some place => inr (InV place)
  | None =>
      match numerator (tau_m m (map vote_of column)) with
      | None => inr InTauM
      | Some t => result m l t (fst b) (snd b)
      end
  end.

(** * Copies [MG-14] *)

(** What a model has at an element, to the bit. *)
Inductive own : Set := NotHeld | NotKnown | Known (bits : Z).

(** A fine-tune has its own bits, if its dtype is that of the base; a task vector has the base's where tau is 0. *)
Definition own_bits : reading own := fun k d x e y =>
  match k with
  | Finetuned => if dtype_eqb d e then Known y else NotKnown
  | TaskVector => match stored e y with Tau 0 => Known x | _ => NotKnown end
  end.

Definition is_or_lacks (bits : Z) (o : own) : bool :=
  match o with
  | NotHeld => true
  | NotKnown => false
  | Known others => others =? bits
  end.

Definition known (column : list own) : list Z :=
  flat_map (fun o => match o with Known bits => [bits] | _ => [] end) column.

(** The bits that all models have which hold the tensor; those of the base, where none does [LI-1]; else the merged. *)
Definition copied (b_merged : Z * Z) (column : list own) : Z :=
  let first := hd (fst b_merged) (known column) in
  if forallb (is_or_lacks first) column then first else snd b_merged.

(** * All coordinates *)

(** The coordinates of the base: each with its dtype. *)
Definition coordinates (b : list tensor) : list (dtype * Z) := flat_map (fun t => map (pair (fst t)) (snd t)) b.

(** The coefficient, if the method can use it [RC-6]. *)
Definition usable (m : method) (bits : Z) : option Z :=
  match numerator (of_bits F32 bits) with
  | None => None
  | Some c => if (0 <? c) || (match m with TaskArithmetic => c <? 0 | _ => false end) then Some c else None
  end.

Definition coefficients (r : request) : list Z + Z * unit :=
  all_or_first 0 (map (fun c => match usable (how r) (coefficient_bits c) with
                                | Some number => inl number
                                | None => inr tt
                                end) (contributions r)).

Definition same_size (b : tensor) (h : option tensor) : bool :=
  match h with None => true | Some t => Nat.eqb (length (snd t)) (length (snd b)) end.

(** Tensors where the base has them, of its sizes [TV-1, CT-5]. *)
Definition fits (b : list tensor) (c : contribution) : bool :=
  Nat.eqb (length (held c)) (length b) && forallb (fun x => x) (zip_with same_size b (held c)).

Definition is_not_finite (e : element) : bool := match e with NotFinite => true | _ => false end.

(** The first fault of the task vectors: the first coordinate, there the first contribution [MG-6]. *)
Definition fault_of_taus (column : list element) : unit + fault :=
  match place_of is_not_finite 0 column with
  | Some place => inr (InTau place)
  | None => inl tt
  end.

(** The rows of v and c, contribution by contribution. *)
Definition scaled_rows (m : method) (rows : list (list (list element))) (cs : list Z) : list (list (option Z * Z)) :=
  zip_with (fun row c => zip_with (fun e => scaled (weight m c e)) (concat row) (trimmed m row)) rows cs.

(** The merged bits of all coordinates, or the models' own where they agree. *)
Definition finished (r : request) (bits : list Z) : list Z :=
  if on_theta (how r) then
    let rows := map (fun c => concat (read_all NotHeld own_bits (base r) c)) (contributions r) in
    let bases := map snd (coordinates (base r)) in
    zip_with copied (combine bases bits) (columns (length bases) rows)
  else bits.

Definition reduce (r : request) : answer :=
  let rows := map (elements (how r) (base r)) (contributions r) in
  let bases := coordinates (base r) in
  let size := length bases in
  match numerator (of_bits F32 (lambda_bits r)), forallb (fits (base r)) (contributions r), coefficients r with
  | None, _, _ | _, false, _ => Malformed
  | _, _, inr (place, _) => BadCoefficient place
  | _, _, inl [] => NothingToMerge
  | Some l, true, inl cs =>
      match all_or_first 0 (map fault_of_taus (columns size (map (@concat element) rows))) with
      | inr (position, fault) => NotFiniteAt position fault
      | inl _ =>
          match all_or_first 0 (zip_with (coordinate (how r) l) bases (columns size (scaled_rows (how r) rows cs))) with
          | inr (position, fault) => NotFiniteAt position fault
          | inl bits => Merged (cut_like (map snd (base r)) (finished r bits)) (map (kept_of (how r)) rows)
          end
      end
  end.

(** * Task vectors alone *)

(** The fp32 bits of tau, tensor by tensor; an absent one is empty. *)
Definition task_vector (b : list tensor) (c : contribution) : answer :=
  let row := read_all Absent tau b c in
  if negb (fits b c) then Malformed
  else match all_or_first 0 (map (fun e => fault_of_taus [e]) (concat row)) with
       | inr (position, fault) => NotFiniteAt position fault
       | inl _ =>
           let bits := map (fun es => map (fun n => to_bits F32 (round_to F32 (of_numerator n))) (present es)) row in
           Merged bits [Trim.size (present (concat row))]
       end.
